"""The rules that usage must pass to be believed, whoever reports it: one table, a line per field.

A row maps field names to the values that somebody wrote, text or numbers; a field left out, None
and empty text are the same. `examine` returns the row as `Used`, or every flaw at once. Units are
fields too, by their column's name.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec

from clauseway.metering.endpoints import ENDPOINT_NAMES, SUMMED, TIERS, batch_codes
from clauseway.metering.records import RequestId, Status
from clauseway.metering.units import BY_COLUMN, Unit, problems_of
from clauseway.values import BadNumber, flaw_of_name, read_decimal

# No request is longer: ten times the most that any model of the catalog reads and writes at once.
UNITS_PER_REQUEST_MAX = 20_000_000
# Sound of an hour has 3,600,000 milliseconds: the thinnest, of 2 kbit/s, in the 50 MB of a body.
_MILLISECONDS_PER_REQUEST_MAX = 200_000_000
# A row that sums many requests and does not say how many: a year of the busiest service there is.
UNITS_PER_ROW_MAX = 10**15
# Identifiers have some 40 characters; a longer text belongs to another column.
_TEXT_MAX = 512
_HOUR_MS = 3_600_000
# Nanoseconds and picodollars have more digits than amounts; beyond 63 bits no column keeps them.
_WHOLE_BELOW = Decimal(1 << 63)
_FLOATS_EXACT_BELOW = 1 << 53
# No start of a gateway has this bit, so imported records never meet metered ones.
IMPORTED = 1 << 63
# A receipt holds the inputs of a decision: some kilobytes.
_RECEIPT_MAX = 1 << 16
_KINDS_OF = {
    bool: "true or false",
    bytes: "bytes",
    list: "a list",
    tuple: "a list",
    dict: "an object",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATUSES = {status.name.lower(): status for status in Status}


class Flaw(msgspec.Struct, frozen=True):
    """A flaw of a row: its field, and why the value is refused."""

    field: str
    reason: str


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """The names known where usage arrives, the first instant anything was agreed on, and the
    present instant."""

    products: frozenset[str]
    clouds: frozenset[str]
    sellers: frozenset[str]
    first_ns: int
    last_ns: int


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """A row that is believed. The request's id is the row's own, or made from `source` and `id`."""

    request: RequestId
    attempt: int
    event_ns: int
    organisation: str
    project: str
    key_id: str
    seller: str
    segment: str
    deployment: str
    cloud: str
    region: str
    product: str
    model: str
    decision: str
    outcome: str
    terms: tuple[str, ...]
    receipt: str
    endpoint: int
    status: Status
    http_status: int
    streamed: bool
    duration_us: int
    first_content_us: int
    charge_picodollars: int
    units: tuple[tuple[Unit, int], ...]
    upstream_id: str
    tier: str = ""
    # The instant at which a home first knew of it, if the row names it.
    # INVARIANT: the last field, see `content_of`.
    recorded_ns: int = 0


def content_of(used: Used) -> bytes:
    """Return the content of a record as bytes: equal for equal records, whenever they became
    known."""
    # Early imports did not keep the mark of a sum; their content must stay equal.
    body = msgspec.json.encode(
        msgspec.structs.replace(used, endpoint=0) if used.endpoint == SUMMED else used
    )
    return body[: body.rindex(b',"recorded_ns":')] + b"}"


def imported_id(source: str, identity: str) -> RequestId:
    """Return the request id of usage that another system counted: the same for the same source and
    id, for ever."""
    digest = hashlib.blake2b(f"{len(source)}:{source}{identity}".encode(), digest_size=16).digest()
    return RequestId(
        int.from_bytes(digest[:8], "big") | IMPORTED, int.from_bytes(digest[8:], "big")
    )


def is_imported(request: RequestId) -> bool:
    return request.boot >= IMPORTED


def examine(row: Mapping[str, object], bounds: Bounds) -> Used | tuple[Flaw, ...]:
    """Return the row as it is believed, or every flaw it has, in the order of the table."""
    flaws: list[Flaw] = []
    values: dict[str, object] = {}
    for name, check in CHECKS.items():
        value = row.get(name)
        if value is None or value == "":
            # Most rows leave out most fields: the meaning of that is computed once.
            values[name], why = _LEFT_OUT[name]
            if why:
                flaws.append(Flaw(name, why))
            continue
        try:
            values[name] = check(value, bounds)
        except ValueError as error:
            flaws.append(Flaw(name, str(error)))
    flaws += [
        Flaw(name, "no such field") for name in row if name not in CHECKS and name not in BY_COLUMN
    ]
    # Another home marks a sum by its endpoint.
    aggregated = bool(values.pop("aggregated", False)) or values.get("endpoint") == SUMMED
    units, wrong = _units(row, aggregated=aggregated or sums_many(values.get("endpoint")))
    flaws += wrong
    if aggregated:
        values["endpoint"] = SUMMED
    # A record needs an identity: our request id, or another system's source and id.
    request, identified = (
        values.pop("request_id", None),
        (values.pop("source", ""), values.pop("id", "")),
    )
    if (
        request is None
        and not all(identified)
        and not any(flaw.field in ("id", "source") for flaw in flaws)
    ):
        missing = "id" if identified[0] else "source"
        flaws.append(
            Flaw(missing, "missing: without it a record that comes again would count twice")
        )
    if flaws:
        return tuple(flaws)
    if not isinstance(request, RequestId):
        request = imported_id(str(identified[0]), str(identified[1]))
    return Used(request=request, units=units, **values)  # type: ignore[arg-type]


def flaws_of_units(
    units: Mapping[Unit, int], requests: int = 1, *, aggregated: bool = False
) -> tuple[Flaw, ...]:
    """Return the flaws of counted units: below zero, absurdly many, parts larger than their
    whole."""
    flaws = []
    for unit, count in units.items():
        most = most_believed(unit, requests, aggregated=aggregated)
        if count > most:
            why = f"{count} is more than {most:,}, which is the most that is believed"
            flaws.append(Flaw(unit.column, why))
    return (*flaws, *(Flaw("units", problem) for problem in problems_of(units)))


def most_believed(unit: Unit, requests: int = 1, *, aggregated: bool = False) -> int:
    """Return the most of a unit that a record of so many requests may hold. One that is
    `aggregated` sums many and does not say how many."""
    if aggregated or unit is Unit.REQUESTS:
        return UNITS_PER_ROW_MAX
    of_sound = unit is Unit.AUDIO_INPUT_MILLISECONDS
    most = _MILLISECONDS_PER_REQUEST_MAX if of_sound else UNITS_PER_REQUEST_MAX
    return min(most * requests, UNITS_PER_ROW_MAX)


def sums_many(endpoint: object) -> bool:
    """Return whether the records of an endpoint sum many requests: a batch reports what all lines
    of its file used."""
    return endpoint in batch_codes()


def _units(
    row: Mapping[str, object], *, aggregated: bool
) -> tuple[tuple[tuple[Unit, int], ...], list[Flaw]]:
    units: dict[Unit, int] = {}
    flaws: list[Flaw] = []
    for name, unit in BY_COLUMN.items():
        value = row.get(name)
        if value is None or value == "":
            continue
        try:
            units[unit] = _whole(value)
        except ValueError as error:
            flaws.append(Flaw(name, str(error)))
    if not flaws:
        flaws += flaws_of_units(units, max(1, units.get(Unit.REQUESTS, 1)), aggregated=aggregated)
        # Only a complete record must name units; a failed attempt may have used nothing.
        status = row.get("status") or "complete"
        if not units and not aggregated and str(status) in ("complete", "1"):
            flaws.append(Flaw("units", "none: a complete record says what was used"))
    return tuple(units.items()), flaws


def _whole(value: object) -> int:
    """Read a whole number, written as 12 or as 12.0."""
    if isinstance(value, bool):
        raise ValueError(f"{value} is not a number")
    if isinstance(value, int):
        return value
    text = str(value).strip()
    try:
        if isinstance(value, float) and abs(value) >= _FLOATS_EXACT_BELOW:
            raise BadNumber("it was a binary fraction before it came here, and has lost digits")
        number = read_decimal(text, places=0, signed=True, below=_WHOLE_BELOW)
    except BadNumber as error:
        # A fraction's own reason says the same again.
        why = "" if error.is_fraction else f": {error.why}"
        raise ValueError(f"{text[:40]!r} is not a whole number{why}") from None
    return int(number)


def _text(value: object) -> str:
    # A number may be an id; a list, an object, true or false is in the wrong place.
    if isinstance(value, bool | bytes | list | tuple | dict):
        raise ValueError(f"it is {_KINDS_OF[type(value)]}, not text")
    text = "" if value is None else str(value)
    if len(text) > _TEXT_MAX:
        raise ValueError(f"{len(text)} characters are more than {_TEXT_MAX}")
    return text


def _plain(value: object, _: Bounds) -> str:
    return _text(value)


def _name(value: object, _: Bounds) -> str:
    text = _text(value)
    if text and (why := flaw_of_name(text)):
        raise ValueError(why)
    return text


def _id(value: object, _: Bounds) -> str:
    text = _text(value)
    if text and (why := flaw_of_name(text, _TEXT_MAX)):
        raise ValueError(why)
    return text


def _needed(value: object, bounds: Bounds) -> str:
    if not (text := _name(value, bounds)):
        raise ValueError("missing")
    return text


def _or(fallback: str) -> Callable[[object, Bounds], str]:
    return lambda value, bounds: _name(value, bounds) or fallback


def _one_of(
    names: Callable[[Bounds], frozenset[str]], kind: str
) -> Callable[[object, Bounds], str]:
    def check(value: object, bounds: Bounds) -> str:
        name = _needed(value, bounds)
        if name not in names(bounds):
            raise ValueError(f"{name[:60]!r} is not a known {kind}")
        return name

    return check


def _number(fallback: int, least: int, most: int) -> Callable[[object, Bounds], int]:
    def check(value: object, _: Bounds) -> int:
        number = fallback if value is None or value == "" else _whole(value)
        if not least <= number <= most:
            raise ValueError(f"{number} is not between {least} and {most}")
        return number

    return check


def _endpoint(value: object, bounds: Bounds) -> int:
    """Read an endpoint, by the name that price books have or by the code that we export."""
    text = value.strip() if isinstance(value, str) else ""
    if text in _ENDPOINT_CODES:
        return _ENDPOINT_CODES[text]
    if text[:1].isalpha():
        usual = "write its name, as chat, responses, messages or embeddings"
        raise ValueError(f"{text[:40]!r} is no endpoint; {usual}")
    return _ENDPOINT_CODE(value, bounds)


def _tier(value: object, _: Bounds) -> str:
    text = _text(value)
    if text not in TIERS:
        raise ValueError(f"{text[:40]!r} is none of {', '.join(filter(None, TIERS))}")
    return text


_ENDPOINT_CODE = _number(0, 0, 65_535 // 2)
_ENDPOINT_CODES = {name: code for code, name in ENDPOINT_NAMES.items()}


def _flag(value: object, _: Bounds) -> bool:
    if value in (None, "", False, 0, "false", "False", "0"):
        return False
    if value in (True, 1, "true", "True", "1"):
        return True
    raise ValueError(f"{value!r} is neither true nor false")


def _instant(value: object, bounds: Bounds) -> int:
    """Read nanoseconds since 1970, from a number of them or from an instant in RFC 3339."""
    if value is None or value == "":
        raise ValueError("missing")
    instant = (
        _whole(value)
        if isinstance(value, int) or str(value).lstrip("-").isdecimal()
        else _read_instant(value)
    )
    if instant < bounds.first_ns:
        raise ValueError(
            f"{_shown(instant)} lies before the first amendment, {_shown(bounds.first_ns)}"
        )
    if instant > bounds.last_ns:
        latest = f"the latest that is believed is {_shown(bounds.last_ns)}"
        raise ValueError(f"{_shown(instant)} lies in the future: {latest}")
    return instant


def _read_instant(value: object) -> int:
    text = str(value)
    whole, point, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    try:
        at = datetime.fromisoformat(whole + rest[len(digits) :])
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        seconds = (at - _EPOCH) // timedelta(seconds=1)
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} is not an instant; write 2026-05-01T12:00:00Z") from None
    if point and (not digits or len(digits) > 9):
        raise ValueError(f"{text[:40]!r} is not an instant; write 2026-05-01T12:00:00Z")
    return seconds * 1_000_000_000 + int(digits.ljust(9, "0"))


def _shown(instant_ns: int) -> str:
    try:
        return (_EPOCH + timedelta(seconds=instant_ns // 1_000_000_000)).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        )
    except OverflowError:
        return f"{instant_ns} ns"


def _status(value: object, _: Bounds) -> Status:
    if value is None or value == "":
        return Status.COMPLETE
    text = str(value).lower()
    if text in _STATUSES:
        return _STATUSES[text]
    if text.isdecimal() and int(text) in list(Status):
        return Status(int(text))
    raise ValueError(f"{text[:40]!r} is none of {', '.join(_STATUSES)}")


def _request(value: object, _: Bounds) -> RequestId | None:
    text = _text(value)
    if not text:
        return None
    try:
        return RequestId.parse(text)
    except ValueError:
        raise ValueError(
            f"{text[:60]!r} is not a request id of ours; give source and id instead"
        ) from None


def _receipt(value: object, _: Bounds) -> str:
    if isinstance(value, str):
        if len(value) > _RECEIPT_MAX:
            raise ValueError(f"{len(value)} characters are more than {_RECEIPT_MAX}")
        return value
    return _text(value)


def _known(value: object, bounds: Bounds) -> int:
    """Read the instant at which a home first knew of it, in nanoseconds since 1970; 0 if nobody
    says."""
    known_ns = 0 if value is None or value == "" else _whole(value)
    if not 0 <= known_ns <= bounds.last_ns:
        raise ValueError(f"{_shown(known_ns)} is not a time at which it can have become known")
    return known_ns


def _terms(value: object, _: Bounds) -> tuple[str, ...]:
    if isinstance(value, list | tuple):
        return tuple(_text(term) for term in value)
    if isinstance(value, dict):
        raise ValueError("it is an object, not a list")
    return tuple(_text(value).split()) if value else ()


CHECKS: Mapping[str, Callable[[object, Bounds], object]] = {
    "request_id": _request,
    "source": _plain,
    "id": _plain,
    "attempt": _number(1, 1, 1_000),
    "event_ns": _instant,
    "organisation": _needed,
    "project": _or("default"),
    "key_id": _name,
    "seller": _one_of(lambda bounds: bounds.sellers, "party"),
    "segment": _or("any"),
    "deployment": _name,
    "cloud": _one_of(lambda bounds: bounds.clouds, "cloud"),
    "region": _name,
    "product": _one_of(lambda bounds: bounds.products, "product"),
    "model": _name,
    "decision": _name,
    "outcome": _name,
    "terms": _terms,
    "receipt": _receipt,
    "endpoint": _endpoint,
    "status": _status,
    "http_status": _number(0, 0, 999),
    "streamed": _flag,
    "duration_us": _number(0, 0, _HOUR_MS * 1_000 * 48),
    "first_content_us": _number(0, 0, _HOUR_MS * 1_000 * 48),
    "charge_picodollars": _number(0, 0, 1 << 62),
    "upstream_id": _id,
    "tier": _tier,
    # The instant at which it became known in the home that it comes from.
    "recorded_ns": _known,
    # Set if the row sums more than one request without saying how many.
    "aggregated": _flag,
}


def _left_out(check: Callable[[object, Bounds], object]) -> tuple[object, str]:
    """Return the value of a field that a row leaves out, or why it may not be left out. Bounds do
    not matter."""
    nothing = Bounds(
        products=frozenset(), clouds=frozenset(), sellers=frozenset(), first_ns=0, last_ns=0
    )
    try:
        return check(None, nothing), ""
    except ValueError as error:
        return None, str(error)


_LEFT_OUT = {name: _left_out(check) for name, check in CHECKS.items()}


def fields() -> Iterator[str]:
    """Yield every field that a row may have."""
    yield from CHECKS
    yield from BY_COLUMN
