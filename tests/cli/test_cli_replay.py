"""Replaying traffic: its keys come from a file, never from the command line."""

import json
import socket
from pathlib import Path

from in_process import run


def test_keys_are_read_from_a_file_and_each_that_is_missing_is_named(tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text("openai=cw-secret\n")
    refused = run("gateway", "replay", "--keys", str(keys))
    assert refused.returncode == 3
    assert "--keys: no key buys from microsoft" in refused.stderr
    assert "from openai" not in refused.stderr
    assert "cw-secret" not in refused.stderr
    assert run("gateway", "replay", "--key", "openai=cw-secret").returncode == 3, (
        "a command line can be read by everybody"
    )


def test_each_way_of_failing_is_shown_with_the_words_of_the_first(tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text("openai=cw-a\nmicrosoft=cw-b\n")
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}/v1"
        asked = ("gateway", "replay", "--keys", str(keys), "--limit", "2", "--url", url)
        shown, machine = run(*asked), run(*asked, "--json")
    assert (shown.returncode, machine.returncode) == (1, 1)
    assert "replaying  2/2  served: none · refused: none · failed not_connected 2\n" in shown.stdout
    (line,) = [line for line in shown.stdout.splitlines() if line.startswith("not_connected: ")]
    assert "refused" in line
    assert json.loads(machine.stdout)["failures"] == {"not_connected": line.removeprefix("not_connected: ")}
