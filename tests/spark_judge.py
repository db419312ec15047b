"""Spark as a second engine: its wheel and a Java for it, obtained once into the tests' cache.

Java is the machine's own where it is new enough, else the package of this Debian, unpacked without being installed. As
a script (`make test` runs it first) this says what it does meanwhile.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from locked_libraries import install_locked
from obtained import APT_LISTS, alone, obtain
from obtained import cache as cache_folder

_LIBRARIES = Path(__file__).with_name("spark.txt")
_CONNECTOR = Path(__file__).with_name("spark_s3a.txt")
# Parts of the SDK that hadoop-aws 3.4.1 calls, in a version of today; its own choice is a bundle of half a gigabyte.
_SDK_PARTS = ("s3", "apache-client", "s3-transfer-manager", "sts")
_PACKAGES = ("org.apache.hadoop:hadoop-aws:3.4.1", *(f"software.amazon.awssdk:{part}:2.57.8" for part in _SDK_PARTS))
_EXCLUDED = ("software.amazon.awssdk:bundle", "org.wildfly.openssl:wildfly-openssl")
_OLDEST_JAVA = 17
# The versions for which Spark 4 is made. Debian 12 has the first, Debian 13 the second.
_PACKAGED_JAVAS = (_OLDEST_JAVA, 21)
# Each Java here lives for seconds: compiling its methods well, on threads of its own, costs more than it gains, and so
# does verifying bytecode that was pinned by its hash.
_JAVA_OPTIONS = " ".join(
    (
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-XX:+UnlockDiagnosticVMOptions",
        "-XX:-BytecodeVerificationRemote",
    )
)
_PATIENCE_S = 900.0  # an upper bound for a busy machine and a slow mirror

_FETCH = """
import json, sys
from pyspark.sql import SparkSession
builder = SparkSession.builder.master("local[1]")
for name, value in json.load(sys.stdin).items():
    builder = builder.config(name, value)
builder.getOrCreate().stop()
"""


class Unavailable(Exception):
    """Spark or Java cannot be had here; says why."""


@cache
def settings() -> dict[str, str]:
    """The environment in which Spark runs: its libraries and its Java. Raises Unavailable."""
    libraries = obtain("spark-4.0.5", _install)
    return {
        "JAVA_HOME": str(_java()),
        "JAVA_TOOL_OPTIONS": _JAVA_OPTIONS,
        "PYTHONPATH": str(libraries),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def settings_with_s3() -> dict[str, str]:
    """The environment in which Spark reads S3 besides: its settings name the connector. Raises Unavailable."""
    connector = _connector()
    if isinstance(connector, Unavailable):
        raise connector
    return settings() | {"SPARK_CONF_DIR": str(connector / "conf")}


@cache
def _connector() -> Path | Unavailable:
    """The folder of the connector to S3, or why it cannot be had: it is asked for once."""
    digest = hashlib.sha256(_CONNECTOR.read_bytes()).hexdigest()[:12]
    try:
        return obtain(f"spark-s3a-{digest}", _fetch_connector)
    except Unavailable as reason:
        return reason


def _fetch_connector(folder: Path) -> None:
    """Let Spark fetch its connector to S3, as it does for its users, and write the settings that name it."""
    _say("Fetching Spark's connector to S3 (17 MB) …")
    with tempfile.TemporaryDirectory() as fetched:
        asked = {"spark.ui.enabled": "false", "spark.jars.ivy": fetched}
        asked |= {"spark.jars.packages": ",".join(_PACKAGES), "spark.jars.excludes": ",".join(_EXCLUDED)}
        done = subprocess.run(
            [sys.executable, "-c", _FETCH],
            input=json.dumps(asked),
            # Where Maven left a part of a package in the user's folder, Spark fetches none of the rest.
            env=os.environ | settings() | {"SPARK_SUBMIT_OPTS": f"-Duser.home={fetched}"},
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
        if done.returncode:
            raise Unavailable(f"Spark cannot fetch its connector to S3: {said_of_failure(done.stderr)}")
        # Spark itself has the rest.
        for line in _CONNECTOR.read_text("utf-8").splitlines():
            if line.startswith("#"):
                continue
            name, _, digest = line.partition(" sha256:")
            jar = Path(fetched) / "jars" / name
            if not jar.exists() or hashlib.sha256(jar.read_bytes()).hexdigest() != digest:
                raise Unavailable(f"{name} is not the one that was pinned")
            shutil.copy(jar, folder / name)
    (folder / "conf").mkdir()
    # The folder is renamed once it is whole.
    place = cache_folder() / folder.name.rpartition(".")[0]
    jars = ",".join(str(place / jar.name) for jar in sorted(folder.glob("*.jar")))
    (folder / "conf" / "spark-defaults.conf").write_text(f"spark.jars {jars}\n")


def said_of_failure(stderr: str) -> str:
    """Return what Ivy says of a dependency that it does not find; else the last line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return next((line for line in lines if "unresolved dependency" in line), lines[-1])


def _install(folder: Path) -> None:
    _say("Fetching Spark (430 MB) for the tests, once (one to three minutes) …")
    if why := install_locked(_LIBRARIES, folder, "--no-deps", "--no-build-isolation"):
        raise Unavailable(f"Spark cannot be installed: {why}")


def _java() -> Path:
    """The home of a Java that is new enough. Raises Unavailable."""
    named, program = os.environ.get("JAVA_HOME"), shutil.which("java")
    for home in (Path(named) if named else None, Path(program).resolve().parents[1] if program else None):
        if home is not None and _version(home) >= _OLDEST_JAVA:
            return home
    return _unpacked(obtain("java", _fetch_java))


def _version(home: Path) -> int:
    program = home / "bin" / "java"
    if not program.exists():
        return 0
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    number = re.search(r'version "(\d+)', said)
    return int(number.group(1)) if number else 0


def _unpacked(folder: Path) -> Path:
    """The home of the Java that was unpacked into a folder; one that does not exist where there is none."""
    return next(folder.glob("usr/lib/jvm/java-*-openjdk-*"), folder / "none")


def _fetch_java(folder: Path) -> None:
    """Unpack Debian's package into the folder. Raises Unavailable."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb") and APT_LISTS.is_dir()):
        raise Unavailable(f"there is no Java {_OLDEST_JAVA} here, and no apt-get to fetch one")
    _say("Fetching Java (45 MB) …")
    with alone(APT_LISTS):
        package = _download(folder)
        if package is None:
            # Where apt has no lists yet, they are fetched once; that takes root.
            _run(["apt-get", "update"], folder)
            package = _download(folder)
    if package is not None:
        _run(["dpkg-deb", "-x", str(package), str(folder)], folder)
        _relink(folder)
    if _version(_unpacked(folder)) < _OLDEST_JAVA:
        versions = " or ".join(map(str, _PACKAGED_JAVAS))
        raise Unavailable(f"no openjdk-*-jre-headless of version {versions} can be had or runs here")


def _download(folder: Path) -> Path | None:
    """The package of the first version that this Debian has; None where it has none."""
    for version in _PACKAGED_JAVAS:
        _run(["apt-get", "download", f"openjdk-{version}-jre-headless"], folder)
        if packages := list(folder.glob("*.deb")):
            return packages[0]
    return None


def _relink(folder: Path) -> None:
    """Point the package's links to its settings under /etc into the folder."""
    for link in _unpacked(folder).rglob("*"):
        if link.is_symlink() and str(target := link.readlink()).startswith("/etc/java"):
            link.unlink()
            # The folder is renamed once it is whole, so links are relative.
            link.symlink_to(os.path.relpath(folder / str(target).removeprefix("/"), link.parent))


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=_PATIENCE_S)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """See to Spark; without it, its tests skip and say so."""
    try:
        settings_with_s3()
    except Unavailable as reason:
        print(f"No Spark: {reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
