"""`python -m tests.simulator`: run seeds, replay one, or search for the planted bugs.

python -m tests.simulator --seeds 1000 --from 0     so many seeds; ends with 1 if a law is broken
python -m tests.simulator --seed 17 --history       one seed again, with all that happened
python -m tests.simulator --planted                 which seed finds each planted bug, by which law
… --json FILE                                       the summary as a record, beside what is printed
… --once                                            that record is of the longest run, beside the one of `make soak`
… --join                                            these seeds join those of the same commit in that record
"""

import argparse
import os
import platform
import sys
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import msgspec

from commits import described

from .hunting import FoundBug, Summary, hunt, missed, seeds_for
from .laws import LAWS
from .planted import BUGS, SEEDS_OF, UNSEEN
from .stories import tell


def main() -> int:
    options = _options()
    if options.seed is not None:
        return _replay(options.seed, with_history=options.history)
    summary, planted = Summary(), list[FoundBug]()
    seeds = range(options.begin, options.begin + options.seeds)
    joined = _joined(options.json, seeds) if options.join else {}
    if options.seeds:
        summary = _run(seeds, options.jobs)
    if options.planted:
        planted = _hunt_all(options.most, options.jobs)
    if options.json is not None:
        kind = "simulator-once" if options.once else "simulator"
        _write(options.json, kind, _with(_record(summary, seeds), joined), planted)
    return 1 if summary.failed or missed(planted, sys.version_info[:2]) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=0, help="how many seeds to run")
    parser.add_argument("--from", dest="begin", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=1, help="in how many processes")
    parser.add_argument("--seed", type=int, help="run this one again")
    parser.add_argument("--history", action="store_true", help="with --seed: print all that happened")
    parser.add_argument("--planted", action="store_true", help="search for each planted bug")
    parser.add_argument("--most", type=int, default=400, help="with --planted: in so many seeds at most")
    parser.add_argument("--once", action="store_true", help="with --json: it is the record of the longest run")
    parser.add_argument("--join", action="store_true", help="with --json: add these seeds to the record there")
    parser.add_argument("--json", type=Path, help="write the summary to this file")
    options = parser.parse_args()
    if options.join and options.json is None:
        parser.error("--join needs the record to join: --json FILE")
    return options


def _replay(seed: int, *, with_history: bool) -> int:
    outcome = tell(seed)
    if with_history:
        print("\n".join(outcome.history))
    print(f"seed {seed}: {outcome.operations} calls of clouds, answers {outcome.answers}, faults {outcome.faults}")
    for law, text in outcome.broken:
        print(f"  broken: {law}: {text}")
    return 1 if outcome.broken else 0


def _run(seeds: range, jobs: int) -> Summary:
    summary = Summary()
    with Pool(jobs) as pool:
        for outcome in pool.imap_unordered(tell, seeds, chunksize=4):
            summary.add(outcome)
            for law, text in outcome.broken[:3]:
                print(f"seed {outcome.seed} broke: {law}: {text}", flush=True)
            if summary.seeds % 100 == 0:
                print(f"{summary.seeds} of {len(seeds)} seeds, {len(summary.failed)} broke a law", flush=True)
    _print(summary)
    return summary


def _print(summary: Summary) -> None:
    print(f"{summary.seeds} seeds, {summary.operations:,} calls of clouds")
    print("faults:  " + " · ".join(f"{kind} {count:,}" for kind, count in summary.faults.items()))
    print("answers: " + " · ".join(f"{kind} {count:,}" for kind, count in summary.answers.items()))
    broken = {law for outcome in summary.failed for law, _ in outcome.broken}
    for law in LAWS:
        print(f"  {'BROKEN' if law in broken else 'held  '}  {law}")
    if summary.failed:
        print("again: python -m tests.simulator --history --seed " + str(summary.failed[0].seed))


_KNOWN_ELSEWHERE = sys.version_info[:2] != SEEDS_OF
_NOT_FOUND = f"known for {'.'.join(map(str, SEEDS_OF))}" if _KNOWN_ELSEWHERE else "NOT FOUND"


def _hunt_all(most: int, jobs: int) -> list[FoundBug]:
    hunted = []
    with Pool(jobs) as pool:
        for hunt in pool.imap(partial(_hunt_one, most=most), range(len(BUGS))):
            hunted.append(hunt)
            seed = f"seed {hunt.seed}" if hunt.seed >= 0 else _NOT_FOUND
            print(f"{seed:>10}  {hunt.name}: {hunt.law}", flush=True)
    print(f"{'unseen':>10}  {UNSEEN.name}: {UNSEEN.why_unseen}")
    return hunted


def _hunt_one(place: int, most: int) -> FoundBug:
    return hunt(BUGS[place], seeds_for(BUGS[place], most))


def _record(summary: Summary, seeds: range) -> dict[str, Any]:
    """Return the record of these seeds: the runs, and their results."""
    return {
        "seeds": summary.seeds,
        "parts": [f"{seeds.start} to {seeds.stop - 1}"] if seeds else [],
        "operations": summary.operations,
        "faults": summary.faults,
        "broken": len(summary.failed),
    }


def _joined(path: Path, seeds: range) -> dict[str, Any]:
    """Return the record that these seeds join. End where it is of another commit, or has some of them."""
    if not path.exists():
        return {}
    record: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    if record["commit"] != described():
        sys.exit(f"{path} is of commit {record['commit']}: remove it, or run that commit")
    for part in record["parts"]:
        first, last = map(int, part.split(" to "))
        if seeds.start <= last and first < seeds.stop:
            sys.exit(f"{path} has the seeds {part}: name others")
    return record


def _with(record: dict[str, Any], joined: dict[str, Any]) -> dict[str, Any]:
    """Return both records as one."""
    if not joined:
        return record
    sums = {name: joined[name] + record[name] for name in ("seeds", "parts", "operations", "broken")}
    return sums | {"faults": Counter(joined["faults"]) + Counter(record["faults"])}


def _write(path: Path, kind: str, record: dict[str, Any], planted: list[FoundBug]) -> None:
    """Write a record of what was run, where and of which commit."""
    whole = {
        "kind": kind,
        "day": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}",
        "commit": described(),
        **record,
        "laws": list(LAWS),
        "planted": planted,
        "unseen": {"name": UNSEEN.name, "why": UNSEEN.why_unseen},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n")


if __name__ == "__main__":
    sys.exit(main())
