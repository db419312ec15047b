"""A trace of production traffic: when requests came, how long their prompts were and how long their
answers.

The format is that of the Azure Public Dataset's LLM inference traces:
`TIMESTAMP,ContextTokens,GeneratedTokens`.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from clauseway.values import Problem, refuse_any

HEADER: Final = "TIMESTAMP,ContextTokens,GeneratedTokens"
# The sample that ships with the package; its README names source, licence and what was changed.
SAMPLE: Final = Path(__file__).parents[1] / "data" / "azure_llm_2023_conv_sample.csv"
_EXAMPLE = "2023-11-16 18:15:46.6805900,374,44"


class TraceRequest(msgspec.Struct, frozen=True):
    """One request: nanoseconds since the trace's first, tokens of its prompt and of its answer."""

    offset_ns: int
    context_tokens: int
    generated_tokens: int


def read_sample() -> list[TraceRequest]:
    """Return the sample that ships with the package: 4,842 requests of one hour."""
    return parse_trace(SAMPLE.read_text(encoding="utf-8"), SAMPLE.name)


def parse_trace(text: str, where: str) -> list[TraceRequest]:
    """Parse a trace in CSV.

    `where` names the file. Raise InvalidInput with every malformed row at once.
    """
    lines = text.splitlines()
    problems = (
        []
        if lines and lines[0] == HEADER
        else [_problem(where, 1, "no header of a trace", f"expected {HEADER}")]
    )
    rows: list[tuple[int, int, int]] = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            row = _parse_row(line)
            # Replays keep the trace's distances in time, so they have to be in order.
            if rows and row[0] < rows[-1][0]:
                raise ValueError("it comes before the row above it")
            rows.append(row)
        except ValueError as error:
            problems.append(
                _problem(where, number, f"{line!r} is not a request of a trace", str(error))
            )
    if not rows and not problems:
        problems.append(_problem(where, 1, "the trace is empty", "there is nothing to replay"))
    refuse_any(problems)
    first_ns = rows[0][0]
    return [
        TraceRequest(instant_ns - first_ns, context, generated)
        for instant_ns, context, generated in rows
    ]


def _parse_row(line: str) -> tuple[int, int, int]:
    fields = line.split(",")
    if len(fields) != 3:
        raise ValueError(f"it has {len(fields)} columns, not 3")
    return _instant_ns(fields[0]), _tokens(fields[1]), _tokens(fields[2])


def _instant_ns(text: str) -> int:
    """Return nanoseconds since 1970.

    The trace's fractions have seven digits, one more than Python's parser takes.
    """
    whole, _, fraction = text.partition(".")
    if (
        len(whole) != 19
        or len(fraction) > 9
        or not ((fraction.isascii() and fraction.isdigit()) or not fraction)
    ):
        raise ValueError(f"{text!r} is not written as YYYY-MM-DD HH:MM:SS.fffffff")
    seconds = (datetime.strptime(whole, "%Y-%m-%d %H:%M:%S") - datetime(1970, 1, 1)) // timedelta(
        seconds=1
    )
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0"))


def _tokens(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
        raise ValueError(f"{text!r} is not a number of tokens, which is a whole number from 1 on")
    return int(text)


def _problem(where: str, line: int, problem: str, why: str) -> Problem:
    return Problem(
        what=problem, why=why, where=where, line=line, remedy=f"Write each row like {_EXAMPLE}."
    )
