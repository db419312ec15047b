"""Seeds of the simulator: every law holds, a seed tells the same story again, and planted bugs are seen."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from memory_folders import memory_folder

from .hunting import FoundBug, hunt, missed, seeds_for
from .laws import LAWS
from .planted import BUGS, SEEDS_OF, UNSEEN, UNSEEN_BY, planting
from .stories import tell

ROOT = Path(__file__).parents[2]
# In parts, so that processes share them; `make soak` runs a thousand by the command.
PARTS, SEEDS = 6, 36
HUNTED, UNSEEN_IN = 40, 10


@pytest.fixture(scope="module")
def simulator() -> Iterator[ProcessPoolExecutor]:
    """A process that tells stories and runs nothing else.

    A story replaces clocks and files for its whole process: a thread that another test left there would meet them too.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        yield process


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_every_law_holds_in_every_story(part: int, simulator: ProcessPoolExecutor) -> None:
    size = SEEDS // PARTS
    broken = simulator.submit(_broken, range(part * size, (part + 1) * size)).result()
    assert {seed: laws for seed, laws in broken.items() if laws} == {}


def _broken(seeds: range) -> dict[int, tuple[tuple[str, str], ...]]:
    return {seed: tell(seed).broken for seed in seeds}


def test_the_same_seed_tells_the_same_story_in_another_process(simulator: ProcessPoolExecutor) -> None:
    command = [sys.executable, "-m", "tests.simulator", "--history", "--seed", "9"]
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    elsewhere = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    alone, _, after_others, another = simulator.submit(_histories, (9, 3, 9, 10)).result()
    assert after_others == alone
    assert elsewhere.splitlines()[: len(alone)] == list(alone)
    assert another != alone


def _histories(seeds: tuple[int, ...]) -> list[tuple[str, ...]]:
    return [tell(seed).history for seed in seeds]


def test_there_are_twenty_bugs_and_each_stands_in_the_source() -> None:
    assert len(BUGS) >= 20
    for bug in (*BUGS, UNSEEN):
        assert bug.law in LAWS or bug.why_unseen
        planting(bug)


def test_a_seed_that_is_known_for_another_python_is_not_missed() -> None:
    """The command ends well there, as the test below is skipped."""
    seen, unseen = FoundBug("a", LAWS[0], 7), FoundBug("b", LAWS[0], -1)
    assert missed([seen, unseen], SEEDS_OF) == [unseen]
    assert missed([seen, unseen], (3, 12)) == []


@pytest.mark.slow
def test_stories_with_the_unseen_bug_break_no_law(simulator: ProcessPoolExecutor) -> None:
    """The bug stays unseen because no disk here changes what it forced: the test that sees it is one of the spool."""
    broken = simulator.submit(_broken_with_the_unseen, range(UNSEEN_IN)).result()
    assert {seed: laws for seed, laws in broken.items() if laws} == {}
    path, _, name = UNSEEN_BY.partition("::")
    assert f"def {name}(" in (ROOT / path).read_text()
    assert UNSEEN_BY in UNSEEN.why_unseen


def _broken_with_the_unseen(seeds: range) -> dict[int, tuple[tuple[str, str], ...]]:
    plant = planting(UNSEEN)
    return {seed: tell(seed, plant).broken for seed in seeds}


@pytest.mark.slow
@pytest.mark.parametrize("name", [bug.name for bug in BUGS])
def test_a_planted_bug_is_seen(name: str, simulator: ProcessPoolExecutor) -> None:
    """In the seed that found it the last time, or in another one."""
    hunt = simulator.submit(_hunted, name).result()
    if hunt.seed < 0 and not missed([hunt], sys.version_info[:2]):
        pytest.skip(f"the seed that sees it is known for Python {SEEDS_OF} alone: stories differ as event loops do")
    assert hunt.seed >= 0


def _hunted(name: str) -> FoundBug:
    (bug,) = [bug for bug in BUGS if bug.name == name]
    return hunt(bug, seeds_for(bug, HUNTED))


# A process with a folder in memory, which says where, and stays until its input ends.
HOLDER = """
import sys
from memory_folders import memory_folder
with memory_folder(sys.argv[1]) as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


def held_folder(prefix: str) -> tuple[subprocess.Popen[str], Path]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, prefix],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    return holder, Path(holder.stdout.readline().strip())


def test_the_folder_of_a_killed_story_is_removed_by_the_next_one(tmp_path: Path) -> None:
    """One whose process lives stays, and one that ends by itself leaves nothing."""
    prefix = f"clauseway-test-{tmp_path.name}-{os.getpid()}-"
    (living, kept), (killed, left) = held_folder(prefix), held_folder(prefix)
    (left / "disk").write_text("a page")
    killed.kill()
    killed.wait()
    assert left.is_dir()
    with memory_folder(prefix) as folder:
        assert folder.is_dir()
        assert kept.is_dir()
        assert not left.exists()
    assert not folder.exists()
    living.communicate()
    assert not kept.exists()
