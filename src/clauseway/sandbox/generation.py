"""The simulated model: how many tokens a prompt has, how many an answer has, and which words it is made of.

The *sandbox tokenizer*: a token is a word, that is, a maximal run of characters without white space. A prompt has as
many tokens as there are words in the contents of all its messages; an answer has exactly as many words as tokens. So
what a cloud reported can be recounted by anyone from the texts alone.

How long an answer gets: as long as the request allows (`finish_reason` "length") where it states a maximum, else a
small number drawn from the prompt (`finish_reason` "stop"). The same request always gets the same answer.
"""

import zlib
from collections.abc import Iterable
from itertools import pairwise

import msgspec

# A stream has at most this many events with content, whatever its length, so that a replay of long answers is quick.
CONTENT_EVENTS_MAX = 32
_ANSWER_TOKENS_MIN = 8
_ANSWER_TOKENS_SPAN = 56

# What an answer is made of, endlessly repeated: each word with the space before it.
_CYCLE = (
    " the clause is a way and each request takes the one its terms leave open while the meter counts what was used"
    " and the ledger settles who owes whom so every cent walks back to the line it came from"
)
_STARTS = tuple(index for index, letter in enumerate(_CYCLE) if letter == " ")


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of the simulated model. `pieces` joined are its text; there are at most CONTENT_EVENTS_MAX."""

    prompt_tokens: int
    completion_tokens: int
    finish_reason: str
    pieces: tuple[str, ...]


def count_tokens(text: str) -> int:
    """The sandbox tokenizer: words."""
    return len(text.split())


def generate(contents: Iterable[str], tokens_max: int | None, streamed: bool) -> Generation:
    """Answer the given message contents, in one piece or in a stream's pieces."""
    prompt_tokens = 0
    fingerprint = 0
    for content in contents:
        prompt_tokens += count_tokens(content)
        fingerprint = zlib.crc32(content.encode("utf-8", "surrogatepass"), fingerprint)
    tokens = tokens_max or _ANSWER_TOKENS_MIN + fingerprint % _ANSWER_TOKENS_SPAN
    pieces = min(tokens, CONTENT_EVENTS_MAX) if streamed else 1
    return Generation(
        prompt_tokens=prompt_tokens,
        completion_tokens=tokens,
        finish_reason="length" if tokens_max else "stop",
        pieces=_split(fingerprint % len(_STARTS), tokens, pieces),
    )


def _split(first_word: int, tokens: int, pieces: int) -> tuple[str, ...]:
    """`tokens` words of the endless text from `first_word` on, in `pieces` runs of equal length, give or take one."""
    text = _CYCLE * ((first_word + tokens) // len(_STARTS) + 1)
    bounds = [_position(first_word + tokens * index // pieces) for index in range(pieces + 1)]
    bounds[0] += 1  # the text begins with a word, not with the space before it
    return tuple(text[begin:end] for begin, end in pairwise(bounds))


def _position(word: int) -> int:
    rounds, index = divmod(word, len(_STARTS))
    return rounds * len(_CYCLE) + _STARTS[index]
