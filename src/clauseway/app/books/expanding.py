"""Expanding the demand of real tenants into usage of other days: many records, quickly, straight
into the lake."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from fractions import Fraction
from itertools import islice
from pathlib import Path

import msgspec
import pyarrow as pa

from clauseway.app.books.basis import basis_of
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import Opened
from clauseway.app.usage.sealing import lake_locked, open_lake
from clauseway.exchange.parquet_process import WINDOW_ROWS
from clauseway.exchange.parquet_reading import others_parquet
from clauseway.metering import RequestId, Status, Unit, Used
from clauseway.pricing import PriceTable, Sale
from clauseway.sandbox.traffic.demand import Demanded, DemandWindow, buying, demand
from clauseway.storage.lake.columns import INTENT_SCHEMA, used_table
from clauseway.storage.lake.sealed_batches import Range
from clauseway.values import Interval, InvalidInput, KnownAt, day_of, start_of_day_ns

# The sample that ships; its README names source, licence and what was changed.
SAMPLE = Path(__file__).parents[2] / "sandbox" / "data" / "servegen_m_small_sample.parquet"
_BATCH_ROWS = 100_000
_BOOT_BITS = 62
_REGIONS = {"azure": "eastus2", "aws": "us-east-2", "openai-own": "us"}
# Where everything may be served and was sold from the first: what stands in where something else is
# not possible.
_INSTEAD_CLOUD, _INSTEAD_PRODUCT = "azure", "gpt-5.4"


class Expanded(msgspec.Struct, frozen=True, kw_only=True):
    """The number of records in the lake now, and of those that were there before."""

    records: int
    again: int
    tenants: int


class _Placed(msgspec.Struct, frozen=True):
    """The deployment that serves a tenant on a day, and the decision behind it."""

    seller: str
    cloud: str
    product: str
    decision: str
    outcome: str
    terms: tuple[str, ...]
    receipt: str


def read_windows(path: Path | None) -> list[DemandWindow]:
    """Return the windows of a file, or of the sample. Raise InvalidInput."""
    names = list(DemandWindow.__struct_fields__)
    try:
        with others_parquet(path or SAMPLE, WINDOW_ROWS, columns=names) as file:
            return [DemandWindow(**row) for batch in file.batches for row in batch.to_pylist()]
    except (OSError, pa.ArrowException) as error:
        remedy = f"Give a Parquet file with the columns {', '.join(names)}."
        why = str(error).splitlines()[0]
        raise InvalidInput.of(
            what="the demand cannot be read", why=why, where=str(path), remedy=remedy
        ) from None


def expand(
    home: Home,
    opened: Opened,
    windows: Sequence[DemandWindow],
    days: Interval,
    scale: Fraction,
    seed: int,
    report: Callable[[int], object] = lambda _: None,
) -> Expanded:
    """Make the requests of some days and seal them.

    Repeating the call adds nothing, because the lake takes each batch once. Each request is served
    where the agreements permit it on its day and its product has a price; otherwise on Azure.
    """
    placing = _Placing(opened, basis_of(home).prices(KnownAt(time.time_ns())))
    # Named by everything that was asked, so that the same again meets its own batches in the lake.
    name = _name(windows, days, scale, seed)
    boot = int(name, 16) >> (64 - _BOOT_BITS)
    requests = demand(
        windows, start_of_day_ns(days.begin), (days.end - days.begin).days, scale, seed
    )
    first = again = 0
    tenants: set[int] = set()
    with lake_locked(home), open_lake(home) as lake:
        while chunk := list(islice(requests, _BATCH_ROWS)):
            tenants |= {demanded.client for demanded in chunk}
            of = Range(
                spool=f"expanded-{name}", segment=0, first_frame=first, end_frame=first + len(chunk)
            )
            if lake.is_sealed(of):
                again += len(chunk)
            else:
                rows = [
                    _used(demanded, RequestId(boot, first + n), placing)
                    for n, demanded in enumerate(chunk)
                ]
                now_ns = time.time_ns()
                lake.seal_tables(of, used_table(rows, now_ns), INTENT_SCHEMA.empty_table(), now_ns)
            first += len(chunk)
            report(first)
    return Expanded(records=first, again=again, tenants=len(tenants))


def days_between(begin: date, last: date) -> Interval:
    """Return the days from one day to another, both included.

    Raise InvalidInput where the last comes before the first.
    """
    days = Interval(begin, last + timedelta(days=1))
    if days.is_empty:
        raise InvalidInput.of(
            what="no day lies between",
            why=f"{last} comes before {begin}",
            where="--until",
            remedy="Give the first day with --from and the last with --until.",
        )
    return days


def parse_scale(text: str) -> Fraction:
    """`1/1000` or `0.001`. Raise InvalidInput."""
    try:
        scale = Fraction(text)
        if scale <= 0:
            raise ValueError("it is not above zero")
        return scale
    except (ValueError, ZeroDivisionError) as error:
        remedy = "Write how many records a request of the original becomes: 1/1000."
        raise InvalidInput.of(
            what=f"{text!r} is not a scale", why=str(error), where="--scale", remedy=remedy
        ) from None


class _Placing:
    """The cloud and product of each tenant on a day, decided once per day and wish."""

    def __init__(self, opened: Opened, prices: PriceTable) -> None:
        self._opened, self._prices = opened, prices
        self._placed: dict[tuple[int, date], _Placed] = {}

    def of(self, client: int, day: date) -> _Placed:
        kind = client % 6  # tenants of one kind buy alike: see `demand`
        if (kind, day) not in self._placed:
            self._placed[kind, day] = self._decide(kind, day)
        return self._placed[kind, day]

    def _decide(self, client: int, day: date) -> _Placed:
        wish = buying(client)
        for cloud, product in self._tried(wish.cloud, wish.product):
            decided = self._opened.decide(
                action="serve",
                party="openai",
                product=product,
                cloud=cloud,
                seller=wish.seller,
                as_of=day,
            )
            if decided.outcome == "permitted" and self._has_price(product, cloud, wish.seller, day):
                terms = tuple(reason.term for reason in decided.reasons)
                receipt = msgspec.json.encode(decided.receipt).decode()
                return _Placed(
                    wish.seller, cloud, product, decided.receipt.id, decided.outcome, terms, receipt
                )
        why = f"nothing permits it on {day} where it has a price"
        remedy = "Choose other days, or another agreement."
        raise InvalidInput.of(
            what=f"{wish.product} is served nowhere", why=why, where="--from", remedy=remedy
        )

    def _tried(self, cloud: str, product: str) -> Iterator[tuple[str, str]]:
        yield cloud, product
        yield _INSTEAD_CLOUD, product
        yield _INSTEAD_CLOUD, _INSTEAD_PRODUCT

    def _has_price(self, product: str, cloud: str, seller: str, day: date) -> bool:
        rows = self._prices.rows([Sale(product, cloud, seller, _REGIONS[cloud])])
        return any(row.begin <= day < row.end and Unit.INPUT_TOKENS in row.prices for row in rows)


def _used(demanded: Demanded, request: RequestId, placing: _Placing) -> Used:
    placed = placing.of(demanded.client, day_of(demanded.event_ns))
    return Used(
        request=request,
        attempt=1,
        event_ns=demanded.event_ns,
        organisation=buying(demanded.client).organisation,
        project="expanded",
        key_id="",
        seller=placed.seller,
        segment="any",
        deployment=f"{placed.cloud}-expanded",
        cloud=placed.cloud,
        region=_REGIONS[placed.cloud],
        product=placed.product,
        model=placed.product,
        decision=placed.decision,
        outcome=placed.outcome,
        terms=placed.terms,
        receipt=placed.receipt,
        endpoint=1,
        status=Status.COMPLETE,
        http_status=200,
        streamed=False,
        duration_us=0,
        first_content_us=0,
        charge_picodollars=0,
        upstream_id="",
        units=(
            (Unit.INPUT_TOKENS, demanded.input_tokens),
            (Unit.OUTPUT_TOKENS, demanded.output_tokens),
        ),
    )


def _name(windows: Sequence[DemandWindow], days: Interval, scale: Fraction, seed: int) -> str:
    """Return 16 hexadecimal digits that name an expansion, so that the same is known again and
    anything else is apart."""
    content = msgspec.json.encode([windows, str(days.begin), str(days.end), str(scale), seed])
    return hashlib.sha256(content).hexdigest()[:16]
