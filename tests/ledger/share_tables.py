"""Terms shared by the ledger's tables: one payer, one payee, one product line, and amounts as people write them."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal as D

from clauseway.agreement.language.definitions import Figure
from clauseway.agreement.language.shares import RevenueShare, ShareBase
from clauseway.catalog import Catalog, Product, ProductClass
from clauseway.ledger import Inputs, RevenueLine, SaleRecord, Settlement, ShareResult, read_assumptions, settle
from clauseway.values import Citation, Interval, day_of, start_of_day_ns

HOUR_NS = 3_600_000_000_000
CATALOG = Catalog(
    parties=frozenset({"maker", "host", "reseller"}),
    clouds=frozenset({"own", "rented"}),
    operators={"own": "maker", "rented": "host"},
    segments=frozenset({"any"}),
    classes={"api": ProductClass(id="api"), "app": ProductClass(id="app")},
    products={
        "chat": Product(id="chat", product_class="api"),
        "code": Product(id="code", product_class="app"),
    },
)
FIGURES: dict[str, Figure] = {}
INPUTS = Inputs(agreement="a" * 64, price_book="b" * 64, batches=("one",), known_at="everything", engine="test")


def cited(term: str) -> Citation:
    return Citation(term=term, amendment="A1", document="A1.md", line=7, source="T", text=f"what {term} says")


def share(term: str = "A1.share", **said: object) -> RevenueShare:
    """The maker owes the host 20 % of its own sales from 1 January 2026 on, unless it is said otherwise."""
    plain: dict[str, object] = {
        "term": term,
        "payer": "maker",
        "payee": "host",
        "rate": "20 %",
        "cap": "",
        "begin": date(2026, 1, 1),
        "end": date(2031, 1, 1),
        "base": ShareBase(sellers=frozenset({"maker"})),
        "citation": cited(term),
    }
    return RevenueShare(**(plain | said))  # type: ignore[arg-type]


def month(text: str) -> Interval:
    begin = date.fromisoformat(f"{text}-01")
    return Interval(begin, date(begin.year + begin.month // 12, begin.month % 12 + 1, 1))


def sold(day: str, amount: str, seller: str = "maker", cloud: str = "rented", product: str = "chat") -> RevenueLine:
    """Sales of a day of 2026, as `05-17`."""
    on = date.fromisoformat(f"2026-{day}")
    return RevenueLine(event_day=on, seller=seller, cloud=cloud, product=product, amount=D(amount), requests=1)


def at(day: str, hour: int, request: str, amount: str, cloud: str = "rented") -> SaleRecord:
    """One sale of 2026, or what takes one back."""
    event_ns = start_of_day_ns(date.fromisoformat(f"2026-{day}")) + hour * HOUR_NS
    return SaleRecord(
        event_ns=event_ns,
        request_id=request,
        attempt=1,
        seller="maker",
        cloud=cloud,
        product="chat",
        amount=D(amount),
    )


def summed(records: Sequence[SaleRecord]) -> list[RevenueLine]:
    """The same sales as sums of their days would be; one line each is a split like any other."""
    return [
        RevenueLine(
            event_day=day_of(record.event_ns),
            seller=record.seller,
            cloud=record.cloud,
            product=record.product,
            amount=record.amount,
            requests=1,
        )
        for record in records
    ]


def settled(
    revenue: Sequence[RevenueLine],
    period: Interval,
    *shares: RevenueShare,
    assume: Sequence[str] = (),
    figures: Mapping[str, Figure] = FIGURES,
    ordered: Mapping[date, Sequence[SaleRecord]] | None = None,
    credited: Sequence[SaleRecord] = (),
    disputed: Sequence[SaleRecord] = (),
) -> Settlement:
    return settle(
        period=period,
        shares=shares,
        revenue=revenue,
        catalog=CATALOG,
        assumptions=read_assumptions(assume, figures),
        inputs=INPUTS,
        ordered=ordered,
        credited=credited,
        disputed=disputed,
    )


def in_order(
    records: Sequence[SaleRecord],
    period: Interval,
    *shares: RevenueShare,
    credited: Sequence[SaleRecord] = (),
    disputed: Sequence[SaleRecord] = (),
) -> Settlement:
    """Settled twice where a cap or a band falls within a day: the second time with that day's sales in order."""
    plain = settled(summed(records), period, *shares, credited=credited, disputed=disputed)
    ordered = {day: [record for record in records if day_of(record.event_ns) == day] for day in plain.needs_order}
    return settled(summed(records), period, *shares, ordered=ordered, credited=credited, disputed=disputed)


def only(settlement: Settlement) -> ShareResult:
    (share,) = settlement.shares
    return share


def amounts(settlement: Settlement) -> dict[str, str]:
    return {line.id: str(line.amount) for share in settlement.shares for line in share.lines}
