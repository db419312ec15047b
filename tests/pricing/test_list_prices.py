"""The public list as a book: what it says is what the library that carries it would charge, at any time and length."""

from datetime import UTC, date, datetime
from decimal import Decimal

from genai_prices.data import providers
from hypothesis import given
from hypothesis import strategies as st

from clauseway.app.opening.list_prices import list_book
from clauseway.metering import Unit
from clauseway.pricing import PriceTable, Sale
from clauseway.values import KnownAt

TABLE = PriceTable(list_book(), KnownAt.everything())
OPENAI = next(provider for provider in providers if provider.id == "openai")
GPT = [model for model in OPENAI.models if model.id.startswith("gpt-5") or model.id.startswith("gpt-6")]
KEYS = {
    "input_mtok": Unit.INPUT_TOKENS,
    "cache_read_mtok": Unit.CACHED_INPUT_TOKENS,
    "output_mtok": Unit.OUTPUT_TOKENS,
}
CONTEXTS = {"default": {}, "flex": {"service_tier": "flex"}, "priority": {"service_tier": "priority"}}


@given(
    st.sampled_from(GPT),
    st.dates(date(2026, 1, 1), date(2026, 11, 20)),
    st.sampled_from(sorted(CONTEXTS)),
    st.sampled_from([1, 128_000, 200_000, 272_000, 272_001, 900_000]),
)
def test_the_list_says_what_the_library_says(model: object, day: date, tier: str, tokens: int) -> None:
    prices = model.get_prices(datetime(day.year, day.month, day.day, tzinfo=UTC), CONTEXTS[tier])  # type: ignore[attr-defined]
    sale = Sale(model.id, "openai-own", "openai", "", tier=tier, context=tokens)  # type: ignore[attr-defined]
    ours = TABLE.row(sale, day).prices
    for key, unit in KEYS.items():
        listed = getattr(prices, key, None)
        if listed is not None and not isinstance(listed, Decimal):
            listed = max((t for t in listed.tiers if tokens > t.start), key=lambda t: t.start, default=None) or listed
            listed = getattr(listed, "price", None) or listed.base
        assert ours.get(unit) == (None if listed is None else int(listed * 1_000_000))


def test_regions_and_names_of_bedrock() -> None:
    day = date(2026, 9, 1)
    # in-region 4.40, global a tenth below
    prices = [TABLE.price(Sale("gpt-5.6-sol", "aws", "openai", at), Unit.INPUT_TOKENS, day) for at in ("", "global")]
    assert prices == [4_400_000, 4_000_000]
    won = TABLE.row(Sale("gpt-5.5", "aws", "openai", "us-east-2"), day).won[Unit.INPUT_TOKENS]
    assert (won.price, won.source) == (5_500_000, "genai-prices: aws lists openai.gpt-5.5")
    assert won.place == list_book().name


def test_a_listed_price_is_known_from_its_day() -> None:
    sale, day = Sale("gpt-5.6-sol", "aws", "openai", "global"), date(2026, 9, 1)
    before = PriceTable(list_book(), KnownAt.end_of(date(2026, 8, 20)))
    assert before.row(sale, day).prices == {}
    assert TABLE.price(sale, Unit.INPUT_TOKENS, date(2026, 8, 20)) == 5_000_000
