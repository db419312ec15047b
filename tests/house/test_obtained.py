"""Libraries and programs that tests obtain: made once, by one process, and never seen half made."""

import subprocess
import sys
from pathlib import Path

import pytest

from locked_libraries import install_locked, settings_for_uv
from obtained import obtain

ASKS_TWO = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from obtained import obtain

def make(folder):
    with open(sys.argv[2], "a") as tried:
        print("made", file=tried)
    for number in range(200):
        (folder / str(number)).write_text("x")

print(len(list(obtain("packages", make).iterdir())))
"""


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "clauseway"


def test_several_processes_that_ask_at_once_make_it_once(tmp_path: Path) -> None:
    tried = tmp_path / "tried"
    command = [sys.executable, "-c", ASKS_TWO, str(Path(__file__).parents[1]), str(tried)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    assert [process.communicate()[0] for process in processes] == ["200\n"] * 6
    assert tried.read_text() == "made\n"


def test_one_that_fails_leaves_nothing_and_the_next_one_tries_again(empty_cache: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise RuntimeError("no registry")

    with pytest.raises(RuntimeError, match="no registry"):
        obtain("packages", fail)
    assert [path.name for path in empty_cache.iterdir()] == ["packages.lock"]
    made = obtain("packages", lambda folder: (folder / "whole").touch())
    assert [path.name for path in made.iterdir()] == ["whole"]


# The output of `pip config list` · the same for uv
CONFIGURED = [
    ("", {}),
    ("global.cert='/etc/ca.crt'\n", {"SSL_CERT_FILE": "/etc/ca.crt"}),
    # The environment comes last, and holds.
    (
        "global.index-url='https://one.example/simple'\n:env:.index-url='https://two.example/simple'\n",
        {"UV_DEFAULT_INDEX": "https://two.example/simple"},
    ),
    ("install.find-links='\\n/wheels\\n/more'\n:env:.quiet='1'\n", {"UV_FIND_LINKS": "/wheels,/more"}),
    (
        "global.extra-index-url='https://a.example\\nhttps://b.example'\n",
        {"UV_INDEX": "https://a.example https://b.example"},
    ),
]


@pytest.mark.parametrize(("listed", "expected"), CONFIGURED)
def test_uv_is_told_what_pip_is_configured_with(listed: str, expected: dict[str, str]) -> None:
    assert settings_for_uv(listed) == expected


def test_a_lock_that_does_not_hold_is_told(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(f"six==1.17.0 --hash=sha256:{'0' * 64}\n")
    assert install_locked(lock, tmp_path / "into")
    assert not list((tmp_path / "into").glob("six*"))
