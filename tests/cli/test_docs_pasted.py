"""The documents' commands, pasted into the home of `clauseway init --demo`: each is done, and prints what is shown."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import iceberg_judges
from clauseway.app.books.demonstration import DEMOS
from in_process import NAMELESS_ACCOUNT, answer, run

ROOT = Path(__file__).parents[2]


class Width(NamedTuple):
    """How wide a document's terminal is; without columns its words are compared, not its lines."""

    columns: int | None


WIDTHS = {
    "docs/statements.md": Width(110),
    "docs/books.md": Width(110),
    "docs/lake.md": Width(150),
    "docs/what-next.md": Width(None),
    "docs/basis.md": Width(110),
}
DOCUMENTS = [(name, document) for name, demo in DEMOS.items() for document in demo.documents]
# what a command has in it · why it is not pasted here
NOT_PASTED = {
    "lake move": "no object storage is here",
    "--second-opinion spark": "Spark has a test of its own",
    "--engine spark": "it has one too",
    "audit restart": "only a log that is broken is begun again",
}
# Exit codes other than 0: the bill of the demo is wrong, and the command says so.
ENDS_WITH = {"usage reconcile": 2}


class Shown(NamedTuple):
    """A command of a document, and what it is shown to print, if anything."""

    command: str
    printed: str


def shown(document: str) -> Iterator[Shown]:
    """The commands of the document's blocks in their order; `…` stands for whatever differs from run to run."""
    text = (ROOT / document).read_text().replace("$ .venv/bin/clauseway ", "$ clauseway ")
    for block in re.findall(r"^```(?:text|console)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for part in re.split(r"^(?:\$ )?(?=clauseway )", block.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            if not any(fragment in command for fragment in NOT_PASTED):
                yield Shown(command, printed.strip("\n").rstrip())


def is_printed(wanted: str, given: str, width: Width) -> bool:
    if width.columns is None:
        wanted, given = " ".join(wanted.split()), " ".join(given.split())
    given = "\n".join(line.rstrip() for line in given.splitlines()).strip("\n")
    pattern = ".*".join(re.escape(part.strip() if width.columns is None else part) for part in wanted.split("…"))
    return re.fullmatch(pattern, given, re.DOTALL) is not None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pasted")


@pytest.mark.parametrize(("demo", "document"), DOCUMENTS, ids=[document for _, document in DOCUMENTS])
def test_every_command_can_be_pasted(demo: str, document: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLAUSEWAY_KEYS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.setattr("clauseway.storage.control.actor._logged_in", lambda: NAMELESS_ACCOUNT)
    here, width = folder / Path(document).stem, WIDTHS[document]
    here.mkdir()
    made = answer("init", "--demo", demo, cwd=here)
    assert all(Path(file).exists() for file in made["files"])
    faults = []
    for command, printed in shown(document):
        done = run(*shlex.split(command)[1:], cwd=here, columns=width.columns)
        code = next((code for fragment, code in ENDS_WITH.items() if fragment in command), 0)
        if done.returncode != code or (printed and not is_printed(printed, done.stdout, width)):
            faults.append(f"{command} ends with {done.returncode} and prints\n{done.stdout}{done.stderr}")
    assert not faults, "\n\n".join(faults)


ANSWERED = [answered for answered in shown("README.md") if answered.printed]


@pytest.mark.parametrize("answered", ANSWERED, ids=[answered.command[:24] for answered in ANSWERED])
def test_the_readme_shows_what_is_printed(answered: Shown, tmp_path: Path) -> None:
    done = run(*shlex.split(answered.command)[1:], cwd=tmp_path, columns=110)
    assert is_printed(answered.printed, done.stdout, Width(110)), done.stdout


def test_documents_have_commands_to_paste() -> None:
    assert {document for _, document in DOCUMENTS} == WIDTHS.keys()
    assert [document for document in WIDTHS if len(list(shown(document))) < 2] == []
    assert [answered.command.split()[1] for answered in ANSWERED] == ["decide", "prove", "agreement"]


def test_the_draft_of_the_page_is_that_of_the_demo() -> None:
    [draft] = re.findall(r"````markdown\n(.*?)````", (ROOT / "docs/what-next.md").read_text(), re.DOTALL)
    assert draft == (ROOT / "src/clauseway/app/books/demo/what-next/A6.md").read_text()


def test_another_engine_answers_the_query_of_the_guide(tmp_path: Path) -> None:
    for command in (("init", "--demo", "statements"), ("lake", "publish")):
        assert run(*command, cwd=tmp_path).returncode == 0
    (query,) = re.findall(r"```sql\n(.*?)```", (ROOT / "docs/lake.md").read_text(), re.DOTALL)
    try:
        rows = iceberg_judges.answer_of_duckdb(query.replace("/srv/clauseway", str(tmp_path / ".clauseway")))
    except iceberg_judges.Unavailable as reason:
        pytest.skip(f"no DuckDB with Iceberg: {reason}")
    # Input tokens by cloud, of the demo's sales: the fifth, eighth and ninth are on aws.
    assert rows == [["aws", "1080000"], ["azure", "1470000"]]


# what is asked · a word of the refusal
REFUSED = [
    (("--demo", "nothing"), "what-next"),
    (("--demo", "statements", "--model", "gpt-5.5"), "asks no question"),
]


@pytest.mark.parametrize(("asked", "word"), REFUSED)
def test_a_demo_that_cannot_be_made_is_refused(asked: tuple[str, ...], word: str, tmp_path: Path) -> None:
    done = run("init", *asked, cwd=tmp_path)
    assert done.returncode == 3
    assert word in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_demo_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "rates.csv").write_text("mine\n")
    done = run("init", "--demo", "statements", cwd=tmp_path)
    assert done.returncode == 3
    assert [path.name for path in tmp_path.iterdir()] == ["rates.csv"]
    (tmp_path / ".clauseway").mkdir()
    (tmp_path / ".clauseway/control.db").touch()
    (tmp_path / "rates.csv").unlink()
    assert run("init", "--demo", "statements", cwd=tmp_path).returncode == 3
    assert (tmp_path / ".clauseway/control.db").stat().st_size == 0
