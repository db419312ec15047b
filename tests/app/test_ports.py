"""A port that is taken between being looked for and being used costs another try, not the start."""

from pathlib import Path

import pytest

from clauseway.app.processes import ChildFailed, free_port, start_on_port

_PROGRAM = '''"""Takes the port that it is given; the first time somebody is quicker."""
import argparse, json, pathlib, socket
parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int)
parser.add_argument("--parent-pipe", type=int)
parser.add_argument("--seen", type=pathlib.Path)
given = parser.parse_args()
if not given.seen.exists():
    given.seen.write_text(str(given.port))
    quicker = socket.socket()
    quicker.bind(("127.0.0.1", given.port))
    quicker.listen()
with socket.socket() as own:
    own.bind(("127.0.0.1", given.port))
    print(json.dumps({"ready": True, "ports": {"own": given.port}}), flush=True)
    open(given.parent_pipe, "rb").read()
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "takes_a_port.py").write_text(_PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_the_next_port_is_tried(folder: Path) -> None:
    seen, preferred = folder / "seen", free_port(18_400)
    child = start_on_port("it", "takes_a_port", ["--seen", str(seen)], folder / "log", preferred, "127.0.0.1")
    try:
        assert child.ready["ports"]["own"] > int(seen.read_text()) == preferred
    finally:
        child.stop()


def test_another_failure_is_told_at_once(folder: Path) -> None:
    with pytest.raises(ChildFailed, match="unrecognized arguments"):
        start_on_port("it", "takes_a_port", ["--unknown"], folder / "log", 18_500, "127.0.0.1")
