"""A text that somebody wrote to be slow costs what its length costs: no reader goes through all of it from each of its
places. Who sends a bill, an agreement or a price book of some kilobytes takes no hours of another's machine."""

from collections.abc import Callable
from pathlib import Path

import pytest

from clauseway.agreement.text.markdown import take_apart
from clauseway.agreement.text.mistakes import Mistakes
from clauseway.app.opening.toml_file import TomlFile
from clauseway.exchange.usage.focus import BillNames, described_by, read_focus, scale_of
from work_done import grows_with_its_length

NAMES = BillNames(products=(), clouds={}, sellers={})
HEADING = "ChargeCategory,ChargePeriodStart,ConsumedQuantity,ConsumedUnit,ProviderName"


def meter(text: str) -> object:
    return described_by({"SkuMeter": text}, NAMES)


def columns(length: int) -> str:
    return ",".join([f"c{number}" for number in range(length)])


def bill(path: Path, text: str) -> list[object]:
    path.write_text(text)
    return list(read_focus(path, NAMES))


def agreement(_path: Path, text: str) -> object:
    return take_apart(text, Mistakes("A1.md"))


def price_book(path: Path, text: str) -> object:
    return TomlFile(path, text)


# what is slow in it | its reader | the text of a length | a length
TEXTS: list[tuple[str, Callable[[Path, str], object], Callable[[int], str], int]] = [
    ("a meter of caches", lambda _, text: meter(text), lambda length: "cach" * length + "_" * length, 160),
    ("a meter of sound", lambda _, text: meter(text), lambda length: "aud" * length, 320),
    ("a meter of writes", lambda _, text: meter(text), lambda length: "cachwrite1" * length, 96),
    ("a unit of spaces", lambda _, text: scale_of(text), lambda length: " " * length, 8_000),
    ("the columns of a bill", bill, lambda length: f"{HEADING},{columns(length)}\n", 4_000),
    ("paragraphs of a clause", agreement, lambda length: "# T\n\n## 1 A\n\n" + "a\n\n" * length, 2_000),
    ("a table's name of spaces", price_book, lambda length: f"a = [\n[{' ' * length}\n]]\n", 400),
]


@pytest.mark.parametrize(("read", "text", "length"), [case[1:] for case in TEXTS], ids=[case[0] for case in TEXTS])
def test_a_text_costs_what_its_length_costs(
    tmp_path: Path, read: Callable[[Path, str], object], text: Callable[[int], str], length: int
) -> None:
    def work(of: int) -> Callable[[], object]:
        written = text(of)
        return lambda: read(tmp_path / "text", written)

    assert grows_with_its_length(work, length)
