"""Replaying traffic: its keys come from a file, never from the command line."""

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
