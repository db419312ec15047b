"""A forked program is a process as an executed one is: its end, its folder, its environment, its descriptors."""

import signal
import subprocess
from pathlib import Path

import forked_programs
import pytest
from gateway_rig import PATIENCE_S, Rig

from clauseway.gateway.plan import Auth

REFUSED = 3


def test_it_says_why_it_cannot_run_and_ends_with_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan's path is relative to the folder of whoever starts it: one has a bad plan, the other none."""
    for name, content, why in (("bad", "no plan", "JSON is malformed"), ("empty", None, "No such file")):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.chdir(folder)
        if content is not None:
            Path("plan.json").write_text(content)
        with open("errors", "wb") as errors:
            arguments = ["--plan", "plan.json", "--spool", "spool", "--port", "0"]
            process = forked_programs.start("clauseway.gateway", arguments, errors.fileno())
        with process.stdout:
            assert process.wait(PATIENCE_S) == process.poll() == REFUSED
            assert process.stdout.read() == b""
        assert why in Path("errors").read_text()


def test_one_that_is_killed_says_so(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.cloud("azure")
        rig.start()
        assert rig.process is not None
        assert rig.process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            rig.process.wait(0)
        rig.kill()
        assert rig.process.wait() == -signal.SIGKILL


def test_it_has_the_environment_of_whoever_starts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Rig(tmp_path) as rig:
        cloud = rig.cloud("azure")
        auth = Auth(kind="bearer", taken={"secret": "env:SECRET_OF_A_TEST"})
        for secret in ("sk-first", "sk-second"):
            monkeypatch.setenv("SECRET_OF_A_TEST", secret)
            rig.start(rig.plan([rig.target("azure", cloud.port, auth=auth)]))
            assert rig.post().status_code == 200
            assert cloud.requests.pop().header("authorization") == f"Bearer {secret}"
            rig.stop()
