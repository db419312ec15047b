"""An import killed at any point, or on a full disk: it counts whole or not at all, and given again it counts once."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from test_killed_at_any_point import DONE, FULL, KILLED, NEVER, Server, running

from soak import examples

EVENTS, DAYS = 30, 4
# More than an import of this file passes: beyond its last point it comes to its end.
POINTS = 80
WHOLE = {"rows": EVENTS, "twice": 0, "files": DAYS, "days": DAYS, "rollups": 0, "waiting": 1, "batches": 1}
NOTHING = dict.fromkeys(WHOLE, 0)


def events() -> str:
    """Usage of four days in no order, and a line that is none."""
    usage = {"organisation": "acme", "seller": "openai", "cloud": "azure", "product": "gpt-5.4"}
    lines = [
        {
            "specversion": "1.0",
            "type": "org.clauseway.usage.v1",
            "source": "/app",
            "id": str(number),
            "time": f"2026-04-{10 + number * 7 % DAYS}T{number % 24:02}:00:00Z",
            "data": usage | {"units": {"input_tokens": number + 1}},
        }
        for number in range(EVENTS)
    ]
    return "".join(json.dumps(line) + "\n" for line in lines) + "not json\n"


def brought_in(server: Server) -> Any:
    code, state = server.step("brought in")
    assert code == DONE
    return state


@pytest.mark.slow
@pytest.mark.parametrize("full", [False, True], ids=["killed", "disk full"])
def test_an_import_counts_whole_or_not_at_all(tmp_path: Path, full: bool) -> None:
    chance = random.Random(42)
    with running(tmp_path / "steps") as server:
        for at in sorted(chance.sample(range(POINTS), examples(4))):
            server.home = tmp_path / str(at)
            server.home.mkdir()
            (server.home / "events.jsonl").write_text(events())
            code, _ = server.step("import", at, full=full)
            assert code in (KILLED, FULL, DONE)
            before = brought_in(server)
            assert before in (NOTHING, WHOLE), f"at point {at}"
            assert code != DONE or before == WHOLE
            code, done = server.step("import", NEVER)
            assert code == DONE
            again = EVENTS if before == WHOLE else 0
            assert (done["imported"], done["again"], done["quarantined"]) == (EVENTS - again, again, 1)
            assert brought_in(server) == WHOLE
