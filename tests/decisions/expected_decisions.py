"""Tables of expected decisions, read: cells between bars, a dash where nothing is said."""

from clauseway.app.opening.library import OpenAgreement
from clauseway.decisions import Decision


def rows(table: str) -> list[tuple[str, ...]]:
    return [tuple(cell.strip() for cell in line.split("|")) for line in table.strip().splitlines()]


def decision_of(opened: OpenAgreement, row: tuple[str, ...]) -> Decision:
    """Ask the question of a row: as of, known at, action, party, product, cloud, further flags."""
    as_of, known_at, action, party, product, cloud, flags = row[:7]
    question: dict[str, object] = {"as_of": as_of, "action": action, "party": party}
    named = (("product", product), ("cloud", cloud), ("known_at", known_at))
    question |= {key: value for key, value in named if value != "-"}
    suppositions = []
    for flag in flags.split() if flags != "-" else []:
        key, _, value = flag.partition("=")
        if key == "suppose":
            suppositions.append(value)
        elif key == "reading":
            question["reading"] = dict([value.split("=")])
        else:
            question[key] = value
    return opened.decide(suppose=suppositions, **question)  # type: ignore[arg-type]
