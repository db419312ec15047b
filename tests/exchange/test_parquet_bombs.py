"""Parquet files that are small and unpack to gigabytes are refused by every command that reads Parquet of others."""

import base64
import json
import os
import resource
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clauseway.app.books.expanding import read_windows
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.usage.sealing import open_lake
from clauseway.exchange.focus.bill_rows import read_bill
from clauseway.exchange.parquet_process import WINDOW_BYTES, WINDOW_ROWS
from clauseway.exchange.parquet_reading import others_parquet
from clauseway.exchange.question_files import read_questions
from clauseway.exchange.usage.focus import BillNames
from clauseway.exchange.usage.opentelemetry import Spans
from clauseway.exchange.usage.usage_files import format_of, read_usage
from clauseway.sandbox.traffic.demand import DemandWindow
from clauseway.values import InvalidInput
from in_process import run

NAMES = BillNames.of(open_agreement().catalog)
# Files with the columns request_id and region, deflated: one text of 1.5 GB in one page; a list of 100,000,000 nulls.
PAGE = (
    "eNrt0b1u01AUwPFjq7GqJgMZrmVLGbIkypC2pEAEKMtNCZTvJFDaIiHkpiG0KjQ4hYbNvAMT4jXYO/MEDB14ghYxsCG4ttM0D/G/1s8+Pj7n+K"
    "utuzUlylWVqrJN4CinUJeKFXhWkM+LSOXb8t9idkvENie2ZZl9YOo+R9FJVh2fZmbbJuXR2oIcv/gqspn2iDkbW/L7341fti2XxgAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEDsichYzfmNa+I5o97r/ptAzYnKlW"
    "xvIey/e98fHb7c3SnJg4JImnbC/mD34O0k5dp+wa+WpaByfskRf7ZL5Vzbbbvb5flGXSpW4FlBPi9+QYnZbGmYXscvi23GzAyYzE+av0fRSdb9"
    "c5op75kRs61RfGXa7n75FBfa5Xn3x1nG1Hk53e0+3riZvpH301qOV13Hq6PTdV/rI90c6NtaD/TqIMk1m1o/jINVre8miYujTsM0SvaP9szQ6y"
    "ZorbeSZDKkpadrK05+fL6xM9xeuWomP43rO7rZieff0bqnb02GTZs6653zO108qk6fb+3efm/z2X7vSvdVsNFJrp+3ilccBqH58oeLveFwMQjD"
    "g6Pih344Mp+yuFJfurxU86vmh8X/7MwSaetu7T+/y9NA"
)
NULLS = (
    "eNpdk81q20AQgGe3jpIGH5zACi3o4EMj4qIkTsAhLj50FewQYlPHh5iGghG2UFxsx5Wc2uRUaJ+hx9JroZBTb32EPkYfoC/Q0JmV/EP3MDszO/"
    "PNjHbVVK1DkRGbwq4LLmAbYPfHwd/8WgGAAYAvQGyLZy6e5YQhDPsYdplvMX9rC9LQp+cAHA3OGAdEYUIdxQJFHLSfi4orPnx66KSgebr4BrCO"
    "xpPHPx8fOmwNVYoilHxTAsuIuzfB0BcZENkdbm1Gwbu7IJ50+r0dqBOlxC0jCsL+7QibNOoVcmWszKAfTwRSOCatB4NgGIwmg594aHJpS9cBW2"
    "RlCYycXGWKrMnNyPzMnJfOxuqw0tWjcRolh1sFMYZ09OTE4gnrJG1Fl5+XRSiNlHB/MecLK/xPKzj8EceXtWR6oD5/M5M7G+Z3DtK2sqrVetV+"
    "kXwM6ys/oFVWtC5Vsi6UmiovVDWlQnUaap/nKdUg5VSpc+1Y7ipRvXhhX9wj9ASVaqOmnVOS1UUVT5c6I9EdXo38dvkOyV1q5aiJgsIvq8ugRW"
    "sp/2xQvG4XtT2j+JmiZrGJ11SqkRabJ3leS+/hst/5nLr+rNe+uu/VyuPr5Ly6Wg+s/NiP8Fone93xeM+Pottp/n0QxXg5+aPj/eL+oXTx+dAL"
    "eouX2MT/4B99Ta1e"
)

BILL = (
    "BillingCurrency",
    "BilledCost",
    "ChargeCategory",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "HostProviderName",
    "InvoiceIssuerName",
    "ProviderName",
    "RegionId",
    "SkuMeter",
)
COLUMNS = ("request_id", *BILL, *DemandWindow.__struct_fields__)


def _inflated(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


def _written(path: Path, columns: Mapping[str, pa.Array]) -> None:
    pq.write_table(pa.table(dict(columns)), path, compression="zstd")


def a_page(path: Path) -> None:
    path.write_bytes(_inflated(PAGE))


def nulls(path: Path) -> None:
    path.write_bytes(_inflated(NULLS))


def a_dictionary(path: Path) -> None:
    """A megabyte in each of 20,000 rows of each column, written down once."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), ["y" * (1 << 20)])
    _written(path, dict.fromkeys(COLUMNS, text))


def many_columns(path: Path) -> None:
    none = pa.nulls(10_000, pa.int32())
    _written(path, {f"c{number}": none for number in range(1_000)} | dict.fromkeys(COLUMNS, none))


def many_rows(path: Path) -> None:
    _written(path, dict.fromkeys(COLUMNS, pa.array(["a"]).take(pa.array([0] * 1_000_000, pa.int32()))))


def _usage(path: Path) -> object:
    return [len(rows) for rows in read_usage(path, "parquet", NAMES, 10_000, Spans([]))]


def _bill_as_usage(path: Path) -> object:
    return [len(rows) for rows in read_usage(path, "focus", NAMES, 10_000, Spans([]))]


def _bill(path: Path) -> object:
    return read_bill(path, NAMES)


def _questions(path: Path) -> object:
    return [part.count for part in read_questions(path)()]


MEMORY, ROWS = "the Parquet file takes too much memory", "the Parquet file has too many rows"
# how a file swells | who reads it | what is said of it
CASES: list[tuple[Callable[[Path], None], Callable[[Path], object], str]] = [
    (a_page, _usage, MEMORY),
    (a_page, _questions, MEMORY),
    (nulls, _usage, MEMORY),
    (nulls, _questions, MEMORY),
    (a_dictionary, _usage, MEMORY),
    (a_dictionary, _bill_as_usage, MEMORY),
    (a_dictionary, _bill, MEMORY),
    (a_dictionary, _questions, MEMORY),
    (a_dictionary, read_windows, MEMORY),
    (many_columns, _usage, MEMORY),
    (many_columns, _bill, MEMORY),
    (many_columns, _questions, MEMORY),
    (many_rows, _usage, ROWS),
    (many_rows, _bill_as_usage, ROWS),
    (many_rows, _bill, ROWS),
    (many_rows, read_windows, ROWS),
]


def refusals(folder: Path) -> list[str]:
    """Return the refusal of each case."""
    said = []
    for write, read, _ in CASES:
        path = folder / f"{write.__name__}.parquet"
        if not path.exists():
            write(path)
        try:
            said.append(f"read: {read(path)}"[:100])
        except InvalidInput as error:
            (problem,) = error.problems
            said.append(problem.what)
            assert problem.where == str(path)
            assert problem.why
            assert problem.remedy
    return said


def own_megabytes() -> int:
    """The most that this process had in memory. (Its `ru_maxrss` begins with that of whoever started it.)"""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) >> 10


def test_what_unpacks_to_gigabytes_is_refused_in_little_memory(tmp_path: Path) -> None:
    """In a process of its own, whose memory and that of its children nobody else took."""
    path = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, __file__, tmp_path], capture_output=True, text=True, check=False, env=path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["said"] == [what for _, _, what in CASES]
    assert result["own_mb"] < 512
    assert result["children_mb"] < 1_200


def test_a_refused_import_leaves_nothing(tmp_path: Path) -> None:
    a_dictionary(tmp_path / "usage.parquet")
    home = tmp_path / "home"
    done = run("usage", "import", str(tmp_path / "usage.parquet"), "--home", str(home))
    assert done.returncode == 3
    assert MEMORY in done.stderr
    assert "10,000 of its rows unpack to" in done.stderr
    assert "as CSV or JSON lines" in done.stderr
    assert not home.exists()
    with open_lake(Home(home).make()):
        pass
    assert run("usage", "import", str(tmp_path / "usage.parquet"), "--home", str(home)).returncode == 3
    shown = run("usage", "show", "--home", str(home), "--json")
    assert json.loads(shown.stdout) == []
    assert list(home.rglob("*.parquet")) == []


def test_a_file_as_large_as_bills_are_is_read(tmp_path: Path) -> None:
    """Rows of 5 kB with nested columns, each text in a dictionary that pages share."""
    count = 3 * WINDOW_ROWS
    tags = pa.array([[{"key": f"tag-{number}", "value": "x" * 50} for number in range(20)]] * 50).take(
        pa.array([number % 50 for number in range(count)])
    )
    note = pa.DictionaryArray.from_arrays(pa.array([number % 9 for number in range(count)]), ["n" * 2_000] * 9)
    _written(tmp_path / "x.parquet", {"request_id": pa.array(map(str, range(count))), "tags": tags, "note": note})
    with others_parquet(tmp_path / "x.parquet", 1 << 18) as file:
        read = [(batch.num_rows, batch.nbytes) for batch in file.batches]
        assert file.rows == count
    assert sum(rows for rows, _ in read) == count
    assert all(size < WINDOW_BYTES for _, size in read)


def test_the_first_batch_is_handed_over_while_the_file_is_read_on(tmp_path: Path) -> None:
    """Stopping early ends the process: nothing waits for the rest."""
    many_rows(tmp_path / "x.parquet")
    with others_parquet(tmp_path / "x.parquet", 10, columns=["client", "RegionId"], may_repeat=True) as file:
        assert next(file.batches).to_pydict() == {"client": ["a"] * 10, "RegionId": ["a"] * 10}


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    _written(tmp_path / "x.parquet", {"a": pa.array([1])})
    with (
        pytest.raises(pa.ArrowInvalid, match="it has no column b"),
        others_parquet(tmp_path / "x.parquet", 10, columns=["a", "b"]),
    ):
        raise AssertionError("it was opened")


def test_a_column_that_is_not_there_to_stay_a_dictionary_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"model": ["gpt"]}), tmp_path / "x.parquet")
    with (
        pytest.raises(pa.ArrowInvalid, match="it has no column request_id"),
        others_parquet(tmp_path / "x.parquet", 10, dictionaries=["model", "request_id"]),
    ):
        pass


READS_A_SMALL_FILE = """
import resource, sys
from pathlib import Path
from clauseway.exchange.parquet_reading import others_parquet

room = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (room, room))
with others_parquet(Path(sys.argv[1]), 10) as opened:
    print(sum(batch.num_rows for batch in opened.batches))
"""


def test_a_small_file_is_read_where_the_machine_grants_less_memory(tmp_path: Path) -> None:
    """The bound is a maximum: a shell or a unit may have set a lower one (ulimit -v)."""
    path = tmp_path / "small.parquet"
    pq.write_table(pa.table({"id": ["a"]}), path)
    command = [sys.executable, "-c", READS_A_SMALL_FILE, str(path), str(1 << 30)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "1\n", done.stderr


def test_a_process_that_could_not_start_is_not_told_as_the_files_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "small.parquet"
    pq.write_table(pa.table({"id": ["a"]}), path)
    broken = tmp_path / "modules" / "pyarrow"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('a library is not there')")
    monkeypatch.setenv("PYTHONPATH", f"{broken.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    with (
        pytest.raises(InvalidInput, match="could not be read: ImportError: a library is not there"),
        others_parquet(path, 10),
    ):
        pass


def test_an_error_of_our_own_is_not_told_as_the_files(tmp_path: Path) -> None:
    """Nobody foresaw a number of rows in words."""
    _written(tmp_path / "x.parquet", {"a": pa.array([1])})
    with (
        pytest.raises(InvalidInput, match="could not be read: JSONDecodeError"),
        others_parquet(tmp_path / "x.parquet", cast(int, "ten")),
    ):
        raise AssertionError("it was opened")


def test_which_format_a_file_has_is_asked_of_its_columns_alone(tmp_path: Path) -> None:
    a_page(tmp_path / "x.parquet")
    assert format_of(tmp_path / "x.parquet") == "parquet"


if __name__ == "__main__":
    answers = refusals(Path(sys.argv[1]))
    children_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
    print(json.dumps({"said": answers, "own_mb": own_megabytes(), "children_mb": children_mb}))
