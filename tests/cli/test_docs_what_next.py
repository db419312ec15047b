"""The worked examples of docs/what-next.md, run on the usage that it tells of, print what it shows."""

import re
import shlex
from pathlib import Path

import pytest

from clauseway.app.opening.home import Home
from in_process import run
from metered_months import assumed, metered_home

DOCUMENT = (Path(__file__).parents[2] / "docs/what-next.md").read_text("utf-8")
EXAMPLES = [(one[0], one[1]) for one in re.findall(r"```text\n\$ (.*?)\n(.*?)```", DOCUMENT, re.DOTALL)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """April and May settled, the draft that the page shows, and the bill that it tells of."""
    home = metered_home(tmp_path_factory.mktemp("months"))
    root = home.root
    for period in ("2026-04", "2026-05"):
        assert run("settle", "--period", period, *assumed(), home=root).returncode == 0
    [draft] = re.findall(r"````markdown\n(.*?)````", DOCUMENT, re.DOTALL)
    (root / "A6.md").write_text(draft)
    bill = root / "may.csv"
    assert run("export", "focus", "--period", "2026-05", "--out", str(bill), home=root).returncode == 0
    with bill.open("a") as file:
        file.write(bill.read_text().splitlines()[1] + "\n")
    return home


@pytest.mark.parametrize(("command", "printed"), EXAMPLES, ids=[command.split()[1] for command, _ in EXAMPLES])
def test_what_the_page_shows_is_printed(home: Home, command: str, printed: str) -> None:
    told = run(*shlex.split(command)[1:], cwd=home.root, home=home.root)
    given = " ".join(told.stdout.split())
    wanted = ".*".join(re.escape(" ".join(part.split())) for part in printed.split("…"))
    assert re.search(wanted, given, re.DOTALL), f"{command} prints\n{told.stdout}\n{told.stderr}"


def test_the_page_shows_all_four() -> None:
    assert [command.split()[1] for command, _ in EXAMPLES] == ["settle", "forecast", "agreement", "usage"]
