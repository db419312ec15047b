"""The scripts around the product: set-up says what is missing, and where CI is set a skipped test is a failure."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from memory_folders import MEMORY

ROOT = Path(__file__).parents[2]


def stub(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def make_venv(python: Path, target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "tools/venv", target],
        env={**os.environ, "PYTHON": str(python)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_an_old_python_is_named_and_the_way_out_with_it(tmp_path: Path) -> None:
    old = stub(tmp_path / "python3", 'case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac')
    answer = make_venv(old, tmp_path / "venv")
    assert answer.returncode == 1
    assert "Clauseway needs Python 3.11 or later, and this machine has Python 3.9.2." in answer.stderr
    assert "make setup PYTHON=" in answer.stderr
    assert not (tmp_path / "venv").exists()


def test_a_python_without_venv_is_told_apart(tmp_path: Path) -> None:
    bare = stub(tmp_path / "python3", f'case "$2" in *ensurepip*) exit 1;; esac\nexec {sys.executable} "$@"')
    answer = make_venv(bare, tmp_path / "venv")
    assert answer.returncode == 1
    assert "apt-get install python3-venv" in answer.stderr
    assert not (tmp_path / "venv").exists()


def copy_conftest(folder: Path) -> Path:
    """Copy what every test shares, and what that imports of the tests."""
    for name in ("conftest.py", "memory_folders.py"):
        shutil.copy(ROOT / "tests" / name, folder)
    return folder / "conftest.py"


@pytest.mark.parametrize(
    ("ci", "outcome", "exit_code"),
    [("", "1 passed, 1 skipped, 1 xfailed", 0), ("true", "1 failed, 1 passed, 1 xfailed", 1)],
    ids=["without CI", "with CI"],
)
def test_a_skip_is_a_failure_where_ci_is_set(tmp_path: Path, ci: str, outcome: str, exit_code: int) -> None:
    copy_conftest(tmp_path)
    (tmp_path / "test_three.py").write_text(
        "import pytest\n"
        "def test_passes() -> None: pass\n"
        "def test_skips() -> None: pytest.skip('no such thing here')\n"
        "@pytest.mark.xfail\n"
        "def test_known() -> None: assert False\n"
    )
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path],
        env={**os.environ, "CI": ci, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert outcome in answer.stdout, answer.stdout
    assert answer.returncode == exit_code


def test_a_module_stays_in_one_process_and_the_long_ones_begin(tmp_path: Path) -> None:
    """Costly fixtures are made once, and no run ends with one process at a long module and the other idle. What the
    processes write lies in a folder that is removed with them, in memory where there is room."""
    conftest = copy_conftest(tmp_path)
    conftest.write_text(conftest.read_text() + '\nLONG_FIRST, ONE_BY_ONE = ("test_c",), ("test_a",)\n')
    where = tmp_path / "where"
    for name in "abcd":
        body = "import pytest\n@pytest.mark.parametrize('n', range(6))\ndef test_it(n: int) -> None: pass\n"
        (tmp_path / f"test_{name}.py").write_text(body)
    (tmp_path / "test_d.py").open("a").write(
        f"def test_where(tmp_path): open({str(where)!r}, 'w').write(str(tmp_path))\n"
    )
    arguments = ["-v", "-p", "no:cacheprovider", "--numprocesses", "2", "--rootdir", str(tmp_path), str(tmp_path)]
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    ran = re.findall(r"^\[(gw\d)\] .* PASSED .*test_(\w)\.py", answer.stdout, re.MULTILINE)
    assert len(ran) == 25, answer.stdout
    (folder,) = [place for place in Path(where.read_text()).parents if place.name.startswith("clauseway-tests-")]
    assert folder.parent in (MEMORY, Path(tempfile.gettempdir()))
    assert not folder.exists()
    processes = [{process for process, module in ran if module == name} for name in "bcd"]
    assert list(map(len, processes)) == [1, 1, 1]
    by_process = [[module for process, module in ran if process == name] for name in ("gw0", "gw1")]
    assert {modules[0] for modules in by_process} == {"b", "c"}, "what is long begins"
    assert [modules.index("a") for modules in by_process if "a" in modules] == [
        sum(module != "a" for module in modules) for modules in by_process if "a" in modules
    ], "single tests are the last"


def test_a_module_that_skips_whole_is_a_failure_too(tmp_path: Path) -> None:
    copy_conftest(tmp_path)
    (tmp_path / "test_none.py").write_text("import pytest\npytest.skip('not here', allow_module_level=True)\n")
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path],
        env={**os.environ, "CI": "true", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert "nothing may be skipped where CI is set" in answer.stdout
    assert answer.returncode != 0


def test_bytecode_is_kept_whatever_the_environment_says() -> None:
    """Otherwise each process of a run compiles all its libraries anew."""
    forbidden = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    recipe = "kept: ; @echo bytecode is forbidden=$$PYTHONDONTWRITEBYTECODE."
    done = subprocess.run(
        ["make", "--no-print-directory", f"--eval={recipe}", "kept"],
        cwd=ROOT,
        env=forbidden,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == "bytecode is forbidden=.\n", done.stderr
    assert not sys.dont_write_bytecode
    assert "PYTHONDONTWRITEBYTECODE" not in os.environ or not os.environ["PYTHONDONTWRITEBYTECODE"]


TARGETS = sorted(set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)))


@pytest.mark.parametrize("target", TARGETS)
def test_a_dry_run_of_make_starts_nothing(tmp_path: Path, target: str) -> None:
    """A line of a recipe that names `$(MAKE)` is run by `make -n` too, with all that stands beside it."""
    started = tmp_path / "started"
    (tmp_path / "bin").mkdir()
    for program in ("python", "clauseway"):
        stub(tmp_path / "bin" / program, f"echo $0 $* >> {started}")
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", target, f"VENV={tmp_path}", "VERSION=9.9.9"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert not started.exists(), started.read_text()


# A program in the place of pip-audit, with its flags and its JSON: each service says of the lock's libraries what the
# environment gives it, or ends without an answer.
ADVISOR = """
import json, os, re, sys
service = sys.argv[sys.argv.index("--vulnerability-service") + 1]
lock = sys.argv[sys.argv.index("--requirement") + 1]
says = os.environ["SAYS_" + service.upper()]
if says == "nothing":
    sys.exit("ConnectionError: Failed to resolve the service")
libraries = []
for name, version in re.findall(r"^([\\w.-]+)==(\\S+)", open(lock).read(), re.MULTILINE):
    if says == "all but alembic" and name == "alembic" or says == "none":
        libraries.append({"name": name, "skip_reason": f"not found: {name}"})
        continue
    weak = [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["99"]}] if says == f"{name} is weak" else []
    libraries.append({"name": name, "version": version, "vulns": weak})
print(json.dumps({"dependencies": libraries, "fixes": []}))
"""


@pytest.mark.parametrize(
    ("pypi", "osv", "exit_code", "line"),
    [
        ("all", "nothing", 0, "libraries looked up: no known weakness."),
        ("all but alembic", "all", 0, "libraries looked up: no known weakness."),
        ("nothing", "all", 0, "libraries looked up: no known weakness."),
        ("alembic is weak", "nothing", 1, "(requirements/dev.txt): PYSEC-1, CVE-1; mended in 99"),
        ("all but alembic", "alembic is weak", 1, "(requirements/dev.txt): PYSEC-1, CVE-1; mended in 99"),
        ("all but alembic", "nothing", 3, "not looked up: 1 libraries (alembic). Nothing is known of them."),
        ("none", "none", 3, "PyPI does not answer: not found: "),
        ("nothing", "nothing", 3, "No library was looked up."),
    ],
)
def test_a_library_that_nobody_looked_up_is_never_a_good_answer(
    tmp_path: Path, pypi: str, osv: str, exit_code: int, line: str
) -> None:
    program = tmp_path / "pip_audit" / "__main__.py"
    program.parent.mkdir()
    program.write_text(ADVISOR)
    done = subprocess.run(
        [sys.executable, ROOT / "tools/audit", tmp_path],
        env={**os.environ, "SAYS_PYPI": pypi, "SAYS_OSV": osv},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == exit_code, done.stdout + done.stderr
    assert line in done.stdout


def test_make_clean_leaves_what_was_recorded(tmp_path: Path) -> None:
    """The home of whoever works in a clone is `.clauseway` there: its books and keys are nobody's to remove."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    books, night = tmp_path / ".clauseway/control.db", tmp_path / ".clauseway/up/20261129-135743/control.db"
    for file in (books, night):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    assert (books.exists(), night.exists()) == (True, False)
    books.unlink()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    assert [path.name for path in tmp_path.iterdir()] == ["Makefile"]
