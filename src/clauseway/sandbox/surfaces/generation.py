"""The simulated model: how many tokens a prompt has, how many an answer has, and which words it is
made of.

The *sandbox tokenizer*: a token is a word, that is, a maximal run of characters without white
space. A prompt has as many tokens as there are words in the contents of all its messages; an answer
has exactly as many words as tokens. So what a cloud reported can be recounted by anyone from the
texts alone.

How long an answer gets: as long as the request allows (`finish_reason` "length") where it states a
maximum, else a small number drawn from the prompt (`finish_reason` "stop"). A tool's call and a
structured answer are JSON that fits the schema, and as long as that takes: with a smaller maximum
they are cut. The same request always gets the same answer.

A request that names an effort is thought about first, for `REASONING_TOKENS` of it or half of its
maximum; those tokens count in the answer's and are no words of it.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec

from clauseway.sandbox.surfaces.fitting import fit

# A stream has at most this many events with content, whatever its length, so that a replay of long
# answers is quick.
CONTENT_EVENTS_MAX = 32
_ANSWER_TOKENS_MIN = 8
_ANSWER_TOKENS_SPAN = 56

# The words of generated answers, each with the space before it; repeated without end.
_CYCLE = (
    " the clause is a way and each request takes the one its terms leave open while the meter "
    "counts what was used"
    " and the ledger settles who owes whom so every cent walks back to the line it came from"
)
_STARTS = tuple(index for index, letter in enumerate(_CYCLE) if letter == " ")


REASONING_TOKENS: Mapping[str, int] = {"low": 16, "medium": 64, "high": 256, "xhigh": 1024}


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of the simulated model.

    `pieces` joined are its text; there are at most CONTENT_EVENTS_MAX.

    With `tool` it is a call of that function, and the text is its arguments. `cached_tokens` are
    among the prompt's, `reasoning_tokens` among the completion's.
    """

    prompt_tokens: int
    completion_tokens: int
    finish_reason: str
    pieces: tuple[str, ...]
    tool: str = ""
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def tokens(self) -> tuple[int, int]:
        """Return the tokens in and out."""
        return self.prompt_tokens, self.completion_tokens

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def count_tokens(text: str) -> int:
    """Return the number of tokens: the sandbox counts words."""
    return len(text.split())


def think(effort: object, tokens_max: int | None) -> int:
    """Return the tokens spent on thinking before an answer of at most `tokens_max` tokens."""
    tokens = REASONING_TOKENS.get(effort, 0) if isinstance(effort, str) else 0
    return tokens if tokens_max is None else min(tokens, tokens_max // 2)


def after_thinking(generation: Generation, tokens: int) -> Generation:
    """Return the answer, with the tokens of the thinking in its count."""
    return msgspec.structs.replace(
        generation, completion_tokens=generation.completion_tokens + tokens, reasoning_tokens=tokens
    )


def generate(contents: Iterable[str], tokens_max: int | None, streamed: bool) -> Generation:
    """Answer the given message contents, in one piece or in a stream's pieces."""
    prompt_tokens, fingerprint = _read(contents)
    tokens = tokens_max or _ANSWER_TOKENS_MIN + fingerprint % _ANSWER_TOKENS_SPAN
    pieces = min(tokens, CONTENT_EVENTS_MAX) if streamed else 1
    return Generation(
        prompt_tokens=prompt_tokens,
        completion_tokens=tokens,
        finish_reason="length" if tokens_max else "stop",
        pieces=_split(fingerprint % len(_STARTS), tokens, pieces),
    )


def generate_json(
    contents: Iterable[str],
    schema: Mapping[str, Any],
    tokens_max: int | None,
    streamed: bool,
    tool: str = "",
) -> Generation:
    """Answer with a JSON text that fits `schema`: a structured answer, or the arguments of a
    call of `tool`."""
    prompt_tokens, fingerprint = _read(contents)
    text = json.dumps(fit(schema, _words(fingerprint % len(_STARTS))), ensure_ascii=False)
    parts = _words_with_space(text)
    tokens = min(len(parts), tokens_max or len(parts))
    finish = "length" if tokens < len(parts) else "tool_calls" if tool else "stop"
    return Generation(
        prompt_tokens=prompt_tokens,
        completion_tokens=tokens,
        finish_reason=finish,
        pieces=_group(parts[:tokens], min(tokens, CONTENT_EVENTS_MAX) if streamed else 1),
        tool=tool,
    )


def _read(contents: Iterable[str]) -> tuple[int, int]:
    """Return the tokens and the fingerprint of a prompt."""
    prompt_tokens = 0
    fingerprint = 0
    for content in contents:
        prompt_tokens += count_tokens(content)
        fingerprint = zlib.crc32(content.encode("utf-8", "surrogatepass"), fingerprint)
    return prompt_tokens, fingerprint


def _words(first_word: int) -> Iterator[str]:
    """Yield the endless text's words from `first_word` on."""
    words = _CYCLE.split()
    while True:
        yield words[first_word % len(words)]
        first_word += 1


def _words_with_space(text: str) -> list[str]:
    """Return the words of a text, each with the white space that follows it."""
    parts: list[str] = []
    for part in text.split(" "):
        if part or not parts:
            parts.append(part + " ")
        else:
            parts[-1] += " "
    parts[-1] = parts[-1][:-1]
    return parts


def _group(parts: Sequence[str], count: int) -> tuple[str, ...]:
    bounds = [len(parts) * index // count for index in range(count + 1)]
    return tuple("".join(parts[begin:end]) for begin, end in pairwise(bounds))


def _split(first_word: int, tokens: int, pieces: int) -> tuple[str, ...]:
    """`tokens` words of the endless text from `first_word` on, in `pieces` runs of equal length,
    give or take one."""
    text = _CYCLE * ((first_word + tokens) // len(_STARTS) + 1)
    bounds = [_position(first_word + tokens * index // pieces) for index in range(pieces + 1)]
    bounds[0] += 1  # the text begins with a word, not with the space before it
    return tuple(text[begin:end] for begin, end in pairwise(bounds))


def _position(word: int) -> int:
    rounds, index = divmod(word, len(_STARTS))
    return rounds * len(_CYCLE) + _STARTS[index]
