"""Inputs made from valid ones: bytes, structure, splices, hostile strings, deep nesting, huge numbers.

Everything is drawn from a `Random`, so a seed and a number name an input for ever.
"""

import json
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

# Larger inputs than this show nothing that smaller ones do not, and cost time.
BYTES_MAX = 1 << 18
# Python, msgspec and YAML each give up at another depth: one is below all of them, one above.
_DEPTHS = (30, 300, 1_200, 20_000)
_NUMBERS = (
    "0",
    "-0",
    "-1",
    "1e5",
    "1e400",
    "-1e-400",
    "1e999999999",
    "9" * 40,
    "9" * 5000,
    "NaN",
    "Infinity",
    "0x10",
    "1_0",
    "2147483648",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "0.1",
    "١٢",
)
_TEXTS = (
    "",
    " ",
    "\x00",
    "\x1b[2J",
    "\ufeff",
    "\u2028",
    "\u202e",
    "é",
    "e\u0301",
    "😀",
    "..",
    "../../etc/passwd",
    "/dev/zero",
    "=1+1",
    "<script>",
    "%s%n",
    "{}",
    "{{7*7}}",
    "${HOME}",
    "' OR 1=1 --",
    "\r\n",
    "0001-01-01",
    "9999-12-31",
    "2026-02-30",
    "2026-04-27T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "true",
    "null",
    "~",
    "<<",
    "*a",
    "&a [*a]",
    "!!python/object:x",
    "a" * 300,
    "a" * 70_000,
)
_BYTES = (
    b"\x00",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xc0\xaf",
    b"\xef\xbb\xbf",
    b"\r\n\r\n",
    b"\n",
    b"\t",
    b"\x1a",
    b"\x80" * 9,
)
_DIGITS = re.compile(rb"\d+")
_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**31,
    2**63,
    2**64,
    -(2**63) - 1,
    10**400,
    1e308,
    -0.0,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
    {"": ""},
    [None],
    "",
    "\ud800",
    {"a": {"b": [1]}},
)


class Mutator:
    """Draws one input. `splices` are valid inputs of the same reader, from which pieces are taken."""

    def __init__(self, random: Random, splices: Sequence[bytes] = ()) -> None:
        self.random = random
        self.splices = splices

    def one_in(self, times: int) -> bool:
        return self.random.randrange(times) == 0

    def hostile_text(self) -> str:
        if self.one_in(4):
            return self.random.choice(_NUMBERS)
        return self.random.choice(_TEXTS)

    def bytes_of(self, whole: bytes) -> bytes:
        """The bytes with one to four places changed; now and then what has nothing to do with them."""
        if self.one_in(200):
            return self.random.randbytes(self.random.randrange(200))
        for _ in range(self.random.choice((1, 1, 1, 2, 2, 4))):
            whole = self.random.choice(self._CHANGES)(self, whole)[:BYTES_MAX]
        return whole

    def text_of(self, text: str) -> str:
        """The same for text; what is no UTF-8 any more comes as lone surrogates, as it does from file names."""
        return self.bytes_of(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")

    def json_of(self, document: bytes) -> bytes:
        """A JSON document with other values, names or depth at one to three places, or changed in its bytes."""
        if self.one_in(3):
            return self.bytes_of(document)
        value = json.loads(document)
        for _ in range(self.random.choice((1, 1, 2, 3))):
            value = self._elsewhere(value)
        written = json.dumps(value).encode()
        if self.one_in(12):
            # JSON has no way to nest as deep in values of Python: it is written in by text.
            written = written.replace(b"null", self.deep(), 1) if b"null" in written else self.deep_inside(written)
        return written[:BYTES_MAX] if len(written) > BYTES_MAX else written

    def deep(self) -> bytes:
        depth = self.random.choice(_DEPTHS)
        if self.one_in(2):
            return b"[" * depth + b"]" * depth
        return b'{"a":' * depth + b"1" + b"}" * depth

    def deep_inside(self, written: bytes) -> bytes:
        """The object with a further member that nests deeply, of a name that it may or may not know."""
        at = written.rfind(b"}")
        begin = written[:at].rstrip()
        comma = b"" if begin.endswith(b"{") else b", "
        return begin + comma + b'"x": ' + self.deep() + written[at:] if at > 0 else self.deep()

    def hostile_value(self) -> Any:
        if self.one_in(2):
            return self.hostile_text()
        return self.random.choice(_VALUES)

    def _elsewhere(self, value: Any) -> Any:
        """The value with one place in it changed. The walk ends at each depth with the same chance."""
        children = (
            list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
        )
        if not children or self.one_in(6):
            return self.hostile_value()
        at = self.random.choice(children)
        changed = value.copy()
        drawn = self.random.randrange(12)
        if drawn == 0:
            del changed[at]
        elif drawn == 1 and isinstance(changed, dict):
            changed[self.hostile_text()] = changed.pop(at)
        elif drawn == 1 and isinstance(changed, list):
            changed.extend(changed[at : at + 1] * self.random.choice((1, 2, 50)))
        elif drawn == 2:
            changed[at] = [value[at]]
        elif drawn == 3:
            changed[at] = value[self.random.choice(children)]
        else:
            changed[at] = self._elsewhere(value[at])
        return changed

    # Changes of bytes

    def _place(self, whole: bytes) -> int:
        return self.random.randint(0, len(whole))

    def _span(self, whole: bytes) -> tuple[int, int]:
        begin = self._place(whole)
        return begin, min(len(whole), begin + self.random.choice((1, 2, 4, 16, 64, 400)))

    def _flipped(self, whole: bytes) -> bytes:
        if not whole:
            return whole
        changed = bytearray(whole)
        changed[self.random.randrange(len(whole))] ^= 1 << self.random.randrange(8)
        return bytes(changed)

    def _set(self, whole: bytes) -> bytes:
        at = self._place(whole)
        return whole[:at] + bytes((self.random.randrange(256),)) + whole[at + 1 :]

    def _deleted(self, whole: bytes) -> bytes:
        begin, end = self._span(whole)
        return whole[:begin] + whole[end:]

    def _doubled(self, whole: bytes) -> bytes:
        begin, end = self._span(whole)
        at = self._place(whole)
        return whole[:at] + whole[begin:end] * self.random.choice((1, 1, 2, 100)) + whole[at:]

    def _cut(self, whole: bytes) -> bytes:
        return whole[: self._place(whole)]

    def _moved(self, whole: bytes) -> bytes:
        first, second = sorted((self._place(whole), self._place(whole)))
        return whole[:first] + whole[second:] + whole[first:second]

    def _with_text(self, whole: bytes) -> bytes:
        at, text = self._place(whole), self.hostile_text().encode("utf-8", "surrogatepass")
        return whole[:at] + text + whole[at:]

    def _with_bytes(self, whole: bytes) -> bytes:
        at = self._place(whole)
        return whole[:at] + self.random.choice(_BYTES) + whole[at:]

    def _with_number(self, whole: bytes) -> bytes:
        """Another number where one stands, as text or as bits."""
        matches = list(_DIGITS.finditer(whole))
        if matches and not self.one_in(4):
            place = self.random.choice(matches)
            return whole[: place.start()] + self.random.choice(_NUMBERS).encode() + whole[place.end() :]
        at, size = self._place(whole), self.random.choice((1, 2, 4, 8))
        bits = self.random.choice((0, 1, (1 << size * 8) - 1, 1 << size * 8 - 1, (1 << size * 8 - 1) - 1))
        return whole[:at] + bits.to_bytes(size, self.random.choice(("little", "big"))) + whole[at + size :]

    def _spliced(self, whole: bytes) -> bytes:
        """A piece of another valid input in its place."""
        if not self.splices:
            return whole
        other = self.random.choice(self.splices)
        begin, end = self._span(other)
        at, _ = self._span(whole)
        return whole[:at] + other[begin:end] + whole[at + self.random.choice((0, end - begin)) :]

    def _nested(self, whole: bytes) -> bytes:
        at = self._place(whole)
        return whole[:at] + self.deep() + whole[at:] if self.one_in(4) else whole[:at] + b"[{(<"[:4] + whole[at:]

    _CHANGES: tuple[Callable[["Mutator", bytes], bytes], ...] = (
        _flipped,
        _set,
        _deleted,
        _doubled,
        _cut,
        _moved,
        _with_text,
        _with_bytes,
        _with_number,
        _spliced,
        _nested,
    )
