"""Traffic rehearsed under agreements drawn at random: it fares as the decisions say, and a draft without terms changes
nothing."""

from datetime import date, timedelta

import msgspec
from bench.price_tables import open_prices
from generated_agreements import CLOUDS, PARTIES, agreements
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from clauseway import OpenAgreement
from clauseway.agreement import Amendment
from clauseway.agreement.language.actions import SELL
from clauseway.app.reports.rehearsing import ADMITTED, MOVED, REFUSED, Traffic, played_as_if
from clauseway.storage.usage.metered import MeteredSum
from clauseway.values import KnownAt
from soak import examples

EVERYTHING = KnownAt.everything()
PRICES = open_prices(EVERYTHING)
DAYS = st.dates(date(2029, 6, 1), date(2031, 6, 1))
PLACES = {"cloud-n": "n-one", "cloud-s": "s-one", "cloud-e": "s-one", "cloud-m": "elsewhere"}


def sum_of(seller: str, product: str, cloud: str, segment: str, day: date) -> MeteredSum:
    """A hundred requests of a day."""
    return MeteredSum(
        hour=(day - date(1970, 1, 1)).days * 24,
        organisation="o",
        seller=seller,
        segment=segment,
        cloud=cloud,
        region=PLACES[cloud],
        product=product,
        endpoint=1,
        tier="",
        status=1,
        is_late=False,
        context=0,
        attempts=100,
        first_request="a",
        last_request="b",
        units={},
    )


TRAFFIC = st.lists(
    st.builds(
        sum_of,
        st.sampled_from(PARTIES),
        st.sampled_from(("hammer", "saw")),
        st.sampled_from(sorted(CLOUDS)),
        st.sampled_from(("any", "school")),
        DAYS,
    ),
    min_size=1,
    max_size=8,
)
few = settings(max_examples=examples(40))


def with_last(opened: OpenAgreement, *amendments: Amendment) -> OpenAgreement:
    changed = msgspec.structs.replace(opened.agreement, amendments=amendments)
    return OpenAgreement(changed, opened.catalog, opened.facts)


def permitted(opened: OpenAgreement, usage: MeteredSum) -> bool:
    day = date(1970, 1, 1) + timedelta(days=usage.hour // 24)
    decision = opened.decide(
        action=SELL,
        party=usage.seller,
        product=usage.product,
        cloud=usage.cloud,
        region=usage.region,
        segment=usage.segment,
        as_of=day,
        known_at=EVERYTHING,
    )
    return decision.outcome == "permitted"


def played(real: OpenAgreement, drafted: OpenAgreement, traffic: list[MeteredSum]) -> Traffic:
    result = Traffic(real, drafted, PRICES, {})
    for usage in traffic:
        result.take(usage)
    return result


@few
@given(agreements(), TRAFFIC)
def test_a_draft_without_terms_changes_nothing(opened: OpenAgreement, traffic: list[MeteredSum]) -> None:
    *_, last = opened.agreement.amendments
    day = last.effective + timedelta(days=1)
    empty = msgspec.structs.replace(
        last,
        id="Z",
        document="Z.md",
        effective=day,
        announced=day,
        known=KnownAt.always(),
        terms=(),
        changes=(),
        clauses=(),
    )
    result = played(opened, with_last(opened, *opened.agreement.amendments, empty), traffic)
    assert result.routed() == ()
    assert result.unchanged + sum(item.requests for item in result.not_asked()) == 100 * len(traffic)


@few
@given(agreements(), TRAFFIC)
def test_requests_fare_as_the_decisions_say(opened: OpenAgreement, traffic: list[MeteredSum]) -> None:
    *earlier, last = opened.agreement.amendments
    assume(earlier)
    real = with_last(opened, *earlier)
    drafted = played_as_if(opened, last.effective)
    result = played(real, drafted, traffic)
    assert result.not_asked() == ()
    was = sum(100 for usage in traffic if permitted(real, usage) and not permitted(drafted, usage))
    now = sum(100 for usage in traffic if permitted(drafted, usage) and not permitted(real, usage))
    routes = result.routed()
    assert sum(row.requests for row in routes if row.what in (REFUSED, MOVED)) == was
    assert sum(row.requests for row in routes if row.what == ADMITTED) == now
    assert all(bool(row.clouds) == (row.what != REFUSED) for row in routes)
