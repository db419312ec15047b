"""`python -m bench.evidence_page` (`make evidence`): docs/evidence.md, written from the records in bench/evidence.

A record is a file of JSON that a run wrote: its kind, the day, the machine, the commit, and what was seen. The page
says of each kind what its record says, or that there is none; a test holds the page to the records.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/evidence.md"
RECORDS = ROOT / "bench/evidence"
Record = Mapping[str, Any]

HEAD = """\
# Evidence

What was tried to break Clauseway, how often, and what came of it. `make evidence` writes this page from the records in
[bench/evidence](../bench/evidence), which the runs themselves wrote; a test holds the page to the records. What each
protection is against stands in [the threat model](threat-model.md), what to do when something breaks in
[when something is lost](runbook.md)."""

NOT_SHOWN = """\
## What this does not show

- The simulator runs our classes on a disk, a network and a clock of its own: a real kernel, a real file system and a
  real database are in the kills alone.
- A law finds what breaks it. What no law says (a right amount by a wrong reading of an agreement, a page that misleads)
  is looked for by other tests and by people.
- Inputs are made by chance from valid ones. No instrument leads them to lines that were not run, so a fault behind a
  rare sequence of bytes may be there still; a digest or a signature that has to fit is fitted only where the reader
  says so.
- The inputs are read one at a time. What many do at once is the business of the kills and of `make soak`.
- Clouds are simulated throughout. What a real one answers is seen by `make live`, with an account of yours.
- Every run was on the one machine that its line names. Nobody outside this project has repeated it: each section
  says how.
- The libraries (SQLite, DuckDB, Arrow, httptools, OpenSSL) are taken as they are; what their own readers do with an
  input is seen only as far as it ends our process or takes its memory."""


def records(folder: Path = RECORDS) -> dict[str, Record]:
    """The records, by kind."""
    written = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return {record["kind"]: record for record in written}


def page(recorded: Mapping[str, Record]) -> str:
    """The whole page."""
    parts = [HEAD]
    for kind, (title, repeat, lines_of) in SECTIONS.items():
        parts.append(f"## {title}")
        if kind in recorded:
            parts += [
                "\n".join(lines_of(_without_laws_again(kind, recorded))),
                f"Repeat it: {repeat}. {_made(recorded[kind])}",
            ]
        else:
            parts.append(
                f"No record: there is no file of the kind `{kind}` in bench/evidence. {repeat} writes one."
            )
    return "\n\n".join([*parts, NOT_SHOWN]) + "\n"


def _without_laws_again(kind: str, recorded: Mapping[str, Record]) -> Record:
    """Return the record; where an earlier section has the same laws, with that section's title in their place."""
    record, usual = recorded[kind], kind.removesuffix("-once")
    laws = recorded.get(usual, {}).get("laws")
    if usual == kind or not laws or laws != record["laws"] or _breaks(record):
        return record
    return {**record, "laws": SECTIONS[usual][0]}


def _made(record: Record) -> str:
    return f"Recorded on {record['day']}, on {record['machine']}, at commit `{record['commit']}`."


def _figure(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _named(counts: Mapping[str, object] | list[object]) -> str:
    """Names with their counts, or names alone, in one sentence."""
    if isinstance(counts, Mapping):
        return ", ".join(
            f"{name.replace('_', ' ')} {_counted(count)}" for name, count in counts.items()
        )
    return ", ".join(map(str, counts)) or "none"


def _counted(count: object) -> str:
    return f"({_named(count)})" if isinstance(count, Mapping) else _figure(count)


# What every record has, and what has a place of its own in a section.
_USUAL = (
    "kind",
    "day",
    "machine",
    "commit",
    "seeds",
    "operations",
    "faults",
    "laws",
    "planted",
    "unseen",
    "kills",
    "what",
)
# How a record's field is said. One that is not here is said by its own name.
WORDS = {
    "parts": "seeds, by run",
    "broken": "seeds that broke a law",
    "requests": "requests of clients",
    "whole": "answers that came whole",
    "attempts": "attempts that clouds answered",
    "recounted": "of these attempts, metered",
    "not_yet_written": "attempts of a gateway that was killed within half a second, without a record",
    "overshoot": "requests and charges beyond a limit or a budget",
    "refusals": "requests that were refused or ended by an error, by status and code",
    "metered": "metered attempts, by how they ended",
    "budgets": "budgets",
    "held_before": "held by processes before the kills",
    "held_after": "held by processes after the kills",
    "breaches": "breaches of a law",
}


def _others(record: Record) -> Iterator[str]:
    """Whatever else a record says, a line each: nothing of it is left out."""
    yield "Also recorded:"
    yield ""
    for name, value in record.items():
        if name not in _USUAL:
            shown = _named(value) if isinstance(value, dict | list) else _figure(value)
            yield f"- {WORDS.get(name, name.replace('_', ' '))}: {shown}"


def _laws(record: Record) -> Iterator[str]:
    if isinstance(record["laws"], str):
        yield f"The same laws held as under *{record['laws']}*."
        yield ""
        return
    yield (
        "These laws held:"
        if not _breaks(record)
        else "These laws were judged, and some of them broken:"
    )
    yield ""
    yield from (f"- {law}" for law in record["laws"])
    yield ""


def _breaks(record: Record) -> bool:
    return bool(record.get("broken") or record.get("breaches"))


def _faults(record: Record) -> Iterator[str]:
    """The faults that the world had, a line each."""
    yield "| fault | times |"
    yield "|---|---|"
    for name, count in record["faults"].items():
        yield f"| {name.replace('_', ' ')} | {_figure(count)} |"
    yield ""


def _simulated(record: Record) -> Iterator[str]:
    calls = _figure(record["operations"])
    yield f"**{_figure(record['seeds'])} seeds**, {calls} calls of clouds. A seed replays exactly."
    yield "Its world had these faults:"
    yield ""
    yield from _faults(record)
    yield from _laws(record)
    yield from _others(record)
    yield from _planted(record)


def _planted(record: Record) -> Iterator[str]:
    """The bugs that were put into the product: which seed sees each, and the one that none can see."""
    if bugs := record["planted"]:
        seen = sum(bug["seed"] >= 0 for bug in bugs)
        yield ""
        yield f"**{seen} of {len(bugs)} planted bugs** were seen, each a patch of the product; the seed is one"
        yield "that sees it:"
        yield ""
        yield "| bug | law that it breaks | seed |"
        yield "|---|---|---|"
        for bug in bugs:
            yield f"| {bug['name']} | {bug['law']} | {bug['seed'] if bug['seed'] >= 0 else 'not seen'} |"
    if unseen := record.get("unseen"):
        yield ""
        yield f"One planted bug is seen by no seed: {unseen['name']}. {unseen['why']}"


def _killed(record: Record) -> Iterator[str]:
    yield f"**{_figure(record['kills'])} kills** of real processes: {_named(record['what'])}."
    yield ""
    yield from _laws(record)
    yield from _others(record)


def _fuzzed(record: Record) -> Iterator[str]:
    readers = record["readers"]
    inputs, broken = (sum(reader[name] for reader in readers) for name in ("inputs", "broken"))
    yield f"**{inputs:,} inputs** to {len(readers)} readers; {broken} kinds of input broke a law. The laws: an input"
    yield "gives a value or an error of the reader's own, and no other exception; the process goes on; memory grows by"
    yield f"no more than {record['memory_mb_max']:g} MB beyond what valid inputs take; one input takes no more than"
    yield f"{record['cpu_s_max']:g} s of processor. Kept are inputs that broke a law before it was mended: the suite"
    yield f"gives them again. The inputs are those of seed {_named(record['seeds'])}: with a seed and a number each is"
    yield "made again."
    if runs := record.get("runs"):
        yield f"Each run with its commit: {', '.join(_run(run, readers) for run in runs)}."
    yield ""
    yield "| reader | inputs | values | refused | broke a law | kept | memory MB | slowest s |"
    yield "|---|---|---|---|---|---|---|---|"
    for reader in readers:
        counts = (reader[name] for name in ("inputs", "values", "refused", "broken", "kept"))
        cells = [
            reader["name"],
            *map(_figure, counts),
            str(reader["memory_mb"]),
            str(reader["slowest_s"]),
        ]
        yield f"| {' | '.join(cells)} |"


def _run(run: Record, readers: list[Record]) -> str:
    """The seed and the commit of a run, and its readers where others had the seed elsewhere."""
    named = f"seed {run['seed']} at {run['commit']}"
    all_read = {reader["name"] for reader in readers} <= {*run["readers"]}
    return named if all_read else f"{named} ({_named(run['readers'])})"


def _soaked(record: Record) -> Iterator[str]:
    parts = record["parts"]
    yield f"**{sum(part['minutes'] for part in parts):.0f} minutes** in {len(parts)} parts:"
    yield ""
    yield "| part | minutes | outcome |"
    yield "|---|---|---|"
    for part in parts:
        yield f"| {part['name']} | {part['minutes']:g} | {part['outcome']} |"


def _requested(record: Record) -> Iterator[str]:
    first, second = record["first_half"], record["second_half"]
    yield f"**{_figure(record['requests'])} requests** to {record['workers']} workers, in {record['rounds']} rounds."
    yield "After each round it was looked at what the processes hold:"
    yield ""
    yield "| held | first half of the rounds | second half |"
    yield "|---|---|---|"
    for name, words in _HELD.items():
        yield f"| {words} | {first[name]:g} | {second[name]:g} |"
    yield ""
    yield f"Judged: {record['outcome']}. The second half may hold what a round adds, and no more."


_HELD = {
    "gateways_mb": "memory of the gateways, MB, the most",
    "home_mb": "memory of their home's process, MB, the most",
    "descriptors": "descriptors of all, the fewest",
}


# The kind of a record: title, how to repeat it, its lines.
SECTIONS = {
    "simulator": ("The simulator", "`make soak`", _simulated),
    "simulator-once": (
        "The simulator's longest run",
        "`python -m tests.simulator --seeds 10000 --jobs 2 --once "
        "--json bench/evidence/simulator-once.json && make evidence`",
        _simulated,
    ),
    "kills": ("Kills", "`make soak`", _killed),
    "kills-once": (
        "The longest run of kills",
        "`python tests/kills.py --kills 1000 --once --out bench/evidence/kills-once.json && make evidence`",
        _killed,
    ),
    "fuzzing": ("Every reader fuzzed", "`make fuzz`", _fuzzed),
    "fuzzing-once": (
        "The longest run of inputs",
        "`python tests/readers/fuzzing.py --inputs 100000 --processes 2 --seed N --once "
        "--record bench/evidence/fuzzing-once.json && make evidence`, with one seed after the other",
        _fuzzed,
    ),
    "requests": (
        "Memory over ten million requests",
        "`python -m bench.soak --record bench/evidence/requests.json && make evidence`",
        _requested,
    ),
    "soak": ("The minutes of a soak", "`make soak`", _soaked),
}


def main() -> int:
    argparse.ArgumentParser(prog="python -m bench.evidence_page", description=__doc__).parse_args()
    PAGE.write_text(page(records()))
    print(f"Wrote {PAGE.relative_to(ROOT)}: {', '.join(records())}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
