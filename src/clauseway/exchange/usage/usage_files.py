"""Files with usage: the format of a file, and its rows. Only here do foreign errors become
InvalidInput.

    InvalidInput    the file cannot be read, is not of its format, or its format is not known

A problem of a single row is reported with the row, and the next row is read.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa

from clauseway.exchange.parquet_reading import others_parquet
from clauseway.exchange.usage.bill_files import CSV_ENDINGS, MissingColumns
from clauseway.exchange.usage.cloudevents import read_cloudevents
from clauseway.exchange.usage.focus import VERSIONS_READ, BillNames, read_focus
from clauseway.exchange.usage.opentelemetry import Spans, read_opentelemetry
from clauseway.exchange.usage.parquet_rows import parquet_rows
from clauseway.exchange.usage.reported_rows import Reported
from clauseway.values import InvalidInput, Problem

FORMATS = ("focus", "cloudevents", "opentelemetry", "parquet")
_BEGINNING_BYTES = 65_536
# Columns of our own export that are derived from others.
_DERIVED = frozenset({"event_day"})


def format_of(path: Path) -> str:
    """Return the format of a file, from its name and its beginning. Raise InvalidInput."""
    ending = path.suffix.lower()
    try:
        # Only FOCUS comes as CSV.
        if path.name.lower().endswith(CSV_ENDINGS):
            return "focus"
        if ending == ".parquet":
            # Our own export has request ids; a bill in FOCUS has none.
            with others_parquet(path, rows=1) as file:
                return "parquet" if "request_id" in file.schema.names else "focus"
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING_BYTES)
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise InvalidInput(unreadable(path, error)) from None
    # Every CloudEvent must have `specversion`; OTLP's JSON opens with the list of resources.
    if b'"specversion"' in beginning:
        return "cloudevents"
    if b'"resourceSpans"' in beginning or b'"resourceMetrics"' in beginning:
        return "opentelemetry"
    raise InvalidInput.of(
        what="the format is not recognised",
        why="neither its name nor its beginning says it",
        where=str(path),
        remedy=f"Name it with --format: {', '.join(FORMATS)}.",
    )


def check_format(form: str) -> None:
    """Raise InvalidInput for a format that nothing reads."""
    if form not in FORMATS:
        remedy = f"One of {', '.join(FORMATS)}."
        message, why = f"{form!r} is not a format", "nothing reads it"
        raise InvalidInput.of(what=message, why=why, where="--format", remedy=remedy)


def spans_in(files: Iterable[tuple[Path, str]]) -> Spans:
    """Return the spans of the OpenTelemetry files among files with their formats."""
    paths = [path for path, form in files if form == "opentelemetry"]
    try:
        return Spans(paths)
    except OSError as error:
        raise InvalidInput(unreadable(Path(error.filename or paths[0]), error)) from None


def read_usage(
    path: Path, form: str, names: BillNames, rows: int, spans: Spans
) -> Iterator[list[Reported]]:
    """Yield the rows of a file, `rows` at a time. `spans` are the spans of all files of the
    import."""
    reader = _reader(form, path, names, spans)
    while some := _next(reader, path, rows):
        yield some


def _reader(form: str, path: Path, names: BillNames, spans: Spans) -> Iterator[Reported]:
    if form == "focus":
        return read_focus(path, names)
    if form == "cloudevents":
        return read_cloudevents(path)
    if form == "opentelemetry":
        return read_opentelemetry(path, spans)
    assert form == "parquet", form
    return _read_own(path)


def _next(reader: Iterator[Reported], path: Path, rows: int) -> list[Reported]:
    try:
        return list(islice(reader, rows))
    except MissingColumns as error:
        message, why = "it is not a FOCUS file", f"it has no {error}"
        remedy = (
            f"Export usage with the columns of FOCUS {VERSIONS_READ} (AWS: Data Exports; "
            "Azure: Cost Management exports; Google Cloud: the FOCUS export to BigQuery), or name "
            "another --format."
        )
        raise InvalidInput.of(
            what=message, why=why, where=str(path), line=1, remedy=remedy
        ) from None
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise InvalidInput(unreadable(path, error)) from None


def _read_own(path: Path) -> Iterator[Reported]:
    """Yield the rows of our own export: the lake's columns."""
    for line, row, wrong in parquet_rows(path, _check_own):
        fields = {name: value for name, value in row.items() if name not in _DERIVED}
        yield Reported(line=line, fields=fields, unreadable=wrong)


def _check_own(names: list[str]) -> None:
    if "request_id" not in names:
        raise pa.ArrowInvalid("it has no column request_id, as our own exports do")


def unreadable(path: Path, error: Exception) -> Problem:
    why = (error.strerror if isinstance(error, OSError) else "") or str(error).splitlines()[0]
    return Problem(
        what="the file cannot be read", why=why, where=str(path), remedy="Give a readable file."
    )
