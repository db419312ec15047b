"""The register of a story: facts are recorded at its homes while clocks jump, and asked about as of instants."""

from typing import Final, NamedTuple

from sqlalchemy.exc import DBAPIError

from clauseway.agreement import Recorded, UncheckedFact
from clauseway.app.books.register import record_fact, recorded_facts, with_register
from clauseway.app.opening.library import OpenAgreement
from clauseway.values import InvalidInput, KnownAt

from .actors import Stage, VirtualHome
from .bookkeeping import opened_agreement
from .world import Process

# Answers about the new product on its first cloud; by the first of them it may go to another one.
_ANSWERS: Final = ("cannot+declines", "can+declines", "cannot+chooses")
NOTHING_RECORDED: Final = "conditional"
_ASKED: Final = {
    "action": "serve",
    "party": "openai",
    "product": "new-model",
    "cloud": "aws",
    "as_of": "2026-05-01",
}


class Asked(NamedTuple):
    """A question as of an instant, and how it was answered."""

    known_at: KnownAt
    outcome: str


class Register:
    """Facts and answers of a story, as those who recorded the facts and asked for the answers were told them."""

    def __init__(self) -> None:
        self.recorded: list[Recorded] = []
        self.asked: list[Asked] = []


def outcome_at(home: VirtualHome, known_at: KnownAt) -> str:
    """Return the answer to the story's question as of an instant of knowledge."""
    opened: OpenAgreement = with_register(opened_agreement(), home.home)
    return str(opened.decide(**_ASKED, known_at=known_at).outcome)  # type: ignore[arg-type]


def outcome_of(fact: Recorded) -> str:
    """Return the answer by a fact, where it is the last one known."""
    return "permitted" if fact.about["declines"] and not fact.about["can"] else "conditional"


def keep_register(stage: Stage, home: VirtualHome, register: Register, facts: int, pace_s: float) -> Process:
    """Record facts at a home, each correcting the one before, and ask in between as of what is known."""
    world = stage.world

    def run() -> None:
        for _ in range(facts):
            world.pause(world.chance.expovariate(1 / pace_s))
            try:
                _record(home, register, world.chance.choice(_ANSWERS))
                known_at = recorded_facts(home.home)[-1].known
                register.asked.append(Asked(known_at, outcome_at(home, known_at)))
            except (OSError, DBAPIError, InvalidInput) as error:
                # The database is away, or somebody else has corrected the same fact.
                world.note(f"{home.name} recorded nothing: {type(error).__name__}")

    return world.spawn(home.machine, f"{home.name}/lawyer", run)


def _record(home: VirtualHome, register: Register, answer: str) -> None:
    before = recorded_facts(home.home)
    fact = UncheckedFact(
        kind="answer",
        effective="2026-04-29",
        source="a letter",
        says="So it was.",
        about={"product": "new-model", "answer": answer},
        corrects=before[-1].id if before else "",
    )
    register.recorded.append(record_fact(home.home, opened_agreement(), fact))
