"""Many seeds in a row, and the search for the seed that finds a planted bug."""

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from .planted import SEEDS_OF, Bug, planting
from .stories import Outcome, tell


class FoundBug(msgspec.Struct, frozen=True):
    """A planted bug, the law that saw it and the seed of the story; -1 where none did."""

    name: str
    law: str
    seed: int


class Summary(msgspec.Struct):
    """The results of many seeds."""

    seeds: int = 0
    operations: int = 0
    faults: dict[str, int] = {}
    answers: dict[str, int] = {}
    failed: list[Outcome] = []

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.operations += outcome.operations
        self.faults = dict(sorted((Counter(self.faults) + Counter(outcome.faults)).items()))
        self.answers = dict(sorted((Counter(self.answers) + Counter(outcome.answers)).items()))
        if outcome.broken:
            self.failed.append(outcome)


def hunt(bug: Bug, seeds: Iterable[int]) -> FoundBug:
    """Plant a bug in one story after the other until its law sees it."""
    plant = planting(bug)
    for seed in seeds:
        if any(law == bug.law for law, _ in tell(seed, plant).broken):
            return FoundBug(bug.name, bug.law, seed)
    return FoundBug(bug.name, bug.law, -1)


def seeds_for(bug: Bug, most: int) -> Sequence[int]:
    """Return the seeds to try: first the one that found the bug the last time."""
    return [bug.seed, *range(most)]


def missed(hunted: Iterable[FoundBug], python: tuple[int, int]) -> list[FoundBug]:
    """Return the bugs that no seed saw and one should have: none where the seeds are known for another Python alone."""
    return [bug for bug in hunted if bug.seed < 0 and python == SEEDS_OF]
