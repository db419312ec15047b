"""FOCUS, the FinOps specification of cost and usage: clouds' bills read as usage, and our usage as
its rows.

Bills of 1.0 to 1.4 are read. They differ here in the columns that name providers.

A row of a bill is one meter over one period: input tokens of a model in a region. Meters are
disjoint, so tokens billed as cached input are not in the input beside it; a row of cached tokens is
therefore both, the part and its whole. Rows have no id: their descriptive columns (all but figures)
identify them, so that a bill read again counts once and a corrected bill is noticed. Tags tell two
rows of a file apart, and may be filled in later. Only charges for usage are read; taxes, credits,
purchases and services without models are skipped.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from clauseway.catalog import Catalog
from clauseway.catalog.cloud_names import CLOUD_NAMES
from clauseway.exchange.usage.bill_files import PROVIDERS, TOO_MANY, rows_of
from clauseway.exchange.usage.reported_rows import Reported, keepable
from clauseway.metering import Unit
from clauseway.metering.endpoints import DEFAULT_TIER
from clauseway.metering.units import CONTAINED_IN, WHOLES_OF
from clauseway.values import BadNumber, exact_product, read_decimal

SOURCE = "focus"
TAGS = "Tags"
VERSIONS_READ = "1.0 to 1.4"
# Drafts of 1.3 write this where later texts have a null.
_NO_PROVIDER = "Not Applicable"
# Columns that identify no row: figures; the time of the export; and the invoice, which comes after
# the charge.
_FIGURES = re.compile(
    r"(Cost|Price|Quantity|Currency)$|^x_Exported|^x_Requests$|^Invoice(Detail)?Id$"
)
# The services that FOCUS tells apart. Models are of the first; what is bought in a marketplace may
# be of the last.
SERVICE_CATEGORIES = (
    "AI and Machine Learning",
    "Analytics",
    "Business Applications",
    "Compute",
    "Databases",
    "Developer Tools",
    "Multicloud",
    "Identity",
    "Integration",
    "Internet of Things",
    "Management and Governance",
    "Media",
    "Migration",
    "Mobile",
    "Networking",
    "Security",
    "Storage",
    "Web",
    "Other",
)
_OTHER_SERVICES = frozenset(SERVICE_CATEGORIES[1:-1])
# Vendors' usual names for themselves, for agreements that name them otherwise: a provider's name in
# a bill begins with one of them.
_CLOUDS = {name: names.cloud for names in CLOUD_NAMES for name in names.bills}
_STATED_CLOUDS = ("x_Cloud", "x_HostCloud")
# The columns by which a row's cloud is named.
CLOUD_COLUMNS = (*_STATED_CLOUDS, *PROVIDERS)
_SELLERS = {name: names.operator for names in CLOUD_NAMES for name in names.bills}
# Patterns of meters' names and of units, the first that matches; each with the unit it counts. What
# may stand between two words is bounded: whoever writes a bill could have each word looked through
# from every other one.
_METERS: Sequence[tuple[re.Pattern[str], Unit]] = tuple(
    (re.compile(pattern, re.IGNORECASE), unit)
    for pattern, unit in (
        (
            r"cach\w{0,40}[\s_-]{0,4}(write|creat).{0,100}(?<![0-9])(1|one)[\s_-]{0,4}h",
            Unit.CACHE_WRITE_1H_TOKENS,
        ),
        (r"cach\w{0,40}[\s_-]{0,4}(write|creat)", Unit.CACHE_WRITE_TOKENS),
        # Before plain input: the name of a meter of cached input has both words.
        (r"cach|cchd", Unit.CACHED_INPUT_TOKENS),
        (r"reason", Unit.REASONING_TOKENS),
        # Before text: audio and images are input and output too.
        (r"aud\w{0,40}[\s_-]{0,4}in|in\w{0,40}[\s_-]{0,4}aud", Unit.AUDIO_INPUT_TOKENS),
        (
            r"aud\w{0,40}[\s_-]{0,4}out|out\w{0,40}[\s_-]{0,4}aud",
            Unit.AUDIO_OUTPUT_TOKENS,
        ),
        (
            r"im(age|g)\w{0,40}[\s_-]{0,4}in|in\w{0,40}[\s_-]{0,4}im(age|g)",
            Unit.IMAGE_INPUT_TOKENS,
        ),
        (
            r"im(age|g)\w{0,40}[\s_-]{0,4}out|out\w{0,40}[\s_-]{0,4}im(age|g)",
            Unit.IMAGE_OUTPUT_TOKENS,
        ),
        (r"\bout|outp|completion", Unit.OUTPUT_TOKENS),
        (r"\binp?\b|input|prompt", Unit.INPUT_TOKENS),
        (r"request", Unit.REQUESTS),
    )
)
# A meter of searches, whatever its unit is called: calls, requests or transactions. What a search
# brings in is counted in tokens.
_SEARCHES = re.compile(r"web[\s_-]*search|\bbing\b", re.IGNORECASE)
# A meter of a tier of its own: `gpt 5.4 Batch Inp glbl`, `USE1-gpt-oss-20b-input-tokens-flex`.
_TIERS = re.compile(r"batch|(?<![a-z])(flex|priority)(?![a-z])", re.IGNORECASE)
_METERED = ("SkuMeter", "ChargeDescription", "SkuId")
# A unit's own size, as `1,000 Tokens` or `1M Tokens`: a word of the provider's, in which a comma
# only groups.
_SCALES = re.compile(
    r"^([0-9]{1,3}(?:,[0-9]{3}){1,4}|[0-9]{1,15})?\s*(k|m|b|thousand|million|billion)?\b",
    re.IGNORECASE,
)
# A figure that was divided has as many places as its writer keeps.
_PLACES_MAX = 40
_TIMES = {"k": 1_000, "thousand": 1_000, "m": 10**6, "million": 10**6, "b": 10**9, "billion": 10**9}
_NAMING = ("SkuMeter", "ChargeDescription", "ResourceName", "SkuId", "ServiceName", "ResourceId")

# The columns of usage rows. They hold no costs: settlements calculate those.
_UNIT_WORDS = {
    Unit.REQUESTS: "Requests",
    Unit.AUDIO_INPUT_MILLISECONDS: "Milliseconds",
    Unit.WEB_SEARCHES: "Searches",
}
USAGE_COLUMNS = (
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "ChargeCategory",
    "ProviderName",
    "InvoiceIssuerName",
    "BillingAccountId",
    "BillingAccountName",
    "BillingAccountType",
    "SubAccountId",
    "SubAccountName",
    "SubAccountType",
    "RegionId",
    "ServiceCategory",
    "ServiceName",
    "SkuMeter",
    "ConsumedQuantity",
    "ConsumedUnit",
    "x_Product",
    "x_Model",
    "x_Cloud",
    "x_Seller",
    "x_Unit",
    "x_Tier",
    "x_ChargeId",
)
# The types of a bill's accounts in what this program exports.
ORGANISATION, PROJECT = "Organisation", "Project"


# Only the beginning of a longer name of a provider or meter is read.
_NAME_CHARACTERS_MAX = 1_000


class BillNames(msgspec.Struct, frozen=True, kw_only=True):
    """The names of an agreement, by which a bill is read.

    `products` are looked for in meters' names, in this order. `clouds` and `sellers` are by the
    first words of a provider's name, in lower case with hyphens, in this order.
    """

    products: tuple[str, ...]
    clouds: Mapping[str, str]
    sellers: Mapping[str, str]

    @classmethod
    def of(cls, catalog: Catalog, products: Iterable[str] = ()) -> "BillNames":
        """Return the names of a catalog, with further `products`.

        A bill names a host as the cloud (AWS) or as the party that operates it (Amazon). A party
        that operates several clouds names none of them.
        """
        operated = {party: sorted(catalog.own_cloud(party)) for party in catalog.parties}
        clouds = {party: each[0] for party, each in operated.items() if len(each) == 1}
        clouds |= {cloud: cloud for cloud in catalog.clouds}
        sellers = {**catalog.operators, **{party: party for party in catalog.parties}}
        return cls(
            products=_longest_first({*catalog.products, *products}),
            clouds={name: clouds[name] for name in _longest_first(clouds)},
            sellers={name: sellers[name] for name in _longest_first(sellers)},
        )


def _longest_first(names: Iterable[str]) -> tuple[str, ...]:
    """Return names in an order in which each precedes the names that it begins with."""
    return tuple(sorted(names, key=lambda name: (-len(name), name)))


def read_focus(path: Path, names: BillNames) -> Iterator[Reported]:
    """Yield the usage in a bill, CSV or Parquet, row by row. Raise as `rows_of` does."""
    for line, row, wrong in rows_of(path):
        yield (
            Reported(line=line, fields=row, unreadable=wrong)
            if wrong
            else _reported(line, row, names)
        )


def described_by(row: Mapping[str, Any], names: BillNames) -> tuple[dict[str, str], Unit | None]:
    """Return the cloud, seller, region and product of a row without its empty fields, each empty if
    not named; and its unit.

    The unit is None if the meter is not one of ours.
    """
    words = [str(row[name]) for name in _NAMING if name in row]
    named = {
        "cloud": cloud_of(row, names),
        "seller": row.get("x_Seller")
        or _named_by(row.get("InvoiceIssuerName"), names.sellers, _SELLERS),
        "region": row.get("RegionId") or "",
        "product": row.get("x_Product") or _product(words, names.products),
    }
    return {name: str(value) for name, value in named.items()}, _unit(row, words)


def cloud_of(row: Mapping[str, Any], names: BillNames) -> str:
    """Return the cloud of a row without its empty fields; empty if none is named."""
    stated = next(filter(None, map(row.get, _STATED_CLOUDS)), "")
    return str(stated or _named_by(_provider(row), names.clouds, _CLOUDS))


def other_service(row: Mapping[str, Any]) -> str:
    """Return the category of a service that has no models, empty for any other."""
    category = str(row.get("ServiceCategory", ""))
    return category if category in _OTHER_SERVICES else ""


def _provider(row: Mapping[str, Any]) -> str:
    """Return the name of the host, by the columns of the row's version; empty if none names it."""
    names = (str(row.get(column) or "") for column in PROVIDERS)
    return next((name for name in names if name not in ("", _NO_PROVIDER)), "")


def _reported(line: int, row: dict[str, Any], names: BillNames) -> Reported:
    given = {name: value for name, value in row.items() if value not in (None, "")}
    if TOO_MANY in given:
        return Reported(line=line, fields=given, unreadable=f"the row has {TOO_MANY}")
    if given.get("ChargeCategory") != "Usage":
        return Reported(
            line=line,
            fields={},
            skipped=f"a charge of category {given.get('ChargeCategory', 'none')}",
        )
    about, unit = described_by(given, names)
    if (service := other_service(given)) and not (unit and about["product"]):
        return Reported(line=line, fields={}, skipped=f"a charge of the service {service}")
    # Our own export names each charge; other rows are identified by what describes them.
    charge_id = str(given.get("x_ChargeId", ""))
    untagged = {name: value for name, value in given.items() if name != TAGS}
    untagged_id = "" if charge_id or len(untagged) == len(given) else _identity(untagged)
    fields = {
        "source": SOURCE,
        "id": charge_id or _identity(given),
        "event_ns": given.get("x_EventTime") or _instant(given.get("ChargePeriodStart")),
        "aggregated": True,
        **_buyer(given),
        "model": given.get("x_Model"),
        "tier": given.get("x_Tier") or _tier(given),
        "upstream_id": given.get("ResourceId"),
        **about,
    }
    fields = {name: value for name, value in fields.items() if value not in (None, "")}
    quantity = _quantity(given)
    if unit is None or quantity is None:
        asked = f"{given.get('ConsumedUnit', '')} of {given.get('SkuMeter', 'no meter')}"
        return Reported(
            line=line,
            fields=fields | {f"ConsumedQuantity ({asked})": given.get("ConsumedQuantity")},
        )
    fields[unit.column] = quantity
    # Meters are disjoint: a row of cached tokens is all there is of that input, so it counts as
    # both.
    for whole in WHOLES_OF.get(unit, ()):
        fields[whole.column] = quantity
    # Every request has input: reported there alone, its number is counted once.
    if unit is Unit.INPUT_TOKENS and (requests := number_of(given.get("x_Requests", ""))):
        fields[Unit.REQUESTS.column] = (
            int(requests) if requests == int(requests) else f"{requests:f}"
        )
    return Reported(line=line, fields=fields, untagged_id=untagged_id)


def _buyer(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the organisation of a row; in our own export, the project too."""
    if row.get("BillingAccountType") == ORGANISATION:
        project = row.get("SubAccountId") if row.get("SubAccountType") == PROJECT else None
        return {"organisation": row.get("BillingAccountId"), "project": project}
    # The nearest name of the buyer goes first: a sub account is within a billing account.
    named = ("SubAccountName", "SubAccountId", "BillingAccountName")
    return {"organisation": next((row[name] for name in named if name in row), None)}


def _identity(row: Mapping[str, Any]) -> str:
    about = sorted((name, str(value)) for name, value in row.items() if not _is_figure(name))
    return hashlib.sha256(msgspec.json.encode(keepable(about))).hexdigest()


@lru_cache(maxsize=1024)  # names of columns: some dozens, asked for in every row
def _is_figure(name: str) -> bool:
    return _FIGURES.search(name) is not None


def _instant(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def _named_by(value: object, own: Mapping[str, str], usual: Mapping[str, str]) -> str:
    """Return the name behind a provider's name in a bill, or that name itself if it is unknown.

    The agreement's `own` names are whole words; vendors' `usual` ones any beginning.
    """
    written = str(value or "")
    words = re.split(r"[^a-z0-9]+", written[:_NAME_CHARACTERS_MAX].lower())
    for name, meant in own.items():
        # A name of two words is held against the first two.
        if "-".join(words[: name.count("-") + 1]) == name:
            return meant
    text = written.lower()
    return next((meant for name, meant in usual.items() if text.startswith(name)), written)


def _product(words: Sequence[str], products: tuple[str, ...]) -> str:
    """Return the longest product named in the first column that names one; `gpt 5.4 Inp` names
    gpt-5.4."""
    # Do not cache a text that is too long to be a meter's name.
    named = (_product_in(word[:_NAME_CHARACTERS_MAX], products) for word in words)
    return next(filter(None, named), "")


@lru_cache(maxsize=4096)  # meters come again in every row
def _product_in(word: str, products: tuple[str, ...]) -> str:
    text = re.sub(r"[\s_]+", "-", word.lower())
    for product in products:
        if re.search(rf"(?<![a-z0-9]){re.escape(product.lower())}(?![a-z0-9.])", text):
            return product
    return ""


def _unit(row: Mapping[str, Any], words: Sequence[str]) -> Unit | None:
    if named := row.get("x_Unit"):
        return next((unit for unit in Unit if unit.column == named), None)
    counted_in = str(row.get("ConsumedUnit", ""))
    searched = _SEARCHES.search(str(row.get("SkuMeter", "")))
    if searched and "token" not in counted_in.lower():
        return Unit.WEB_SEARCHES
    for word in (counted_in, *words):
        name = word[:_NAME_CHARACTERS_MAX]
        for pattern, unit in _METERS:
            if pattern.search(name):
                return unit
    return None


def _tier(row: Mapping[str, Any]) -> str:
    """Return the service tier that a meter's name says; empty if it says none."""
    named = (_TIERS.search(str(row.get(column, ""))) for column in _METERED)
    return next((match[0].lower() for match in named if match), "")


def scale_of(unit: object) -> Decimal:
    """Return how many a single unit is, by its name: `1K Tokens` are 1,000."""
    match = _SCALES.match(str(unit or "").lstrip()[:_NAME_CHARACTERS_MAX])
    number, word = match.groups() if match else (None, None)
    return Decimal((number or "1").replace(",", "")) * _TIMES.get((word or "").lower(), 1)


def number_of(value: object) -> Decimal | None:
    """Return a figure of a bill, exactly; None if it is not a number.

    FOCUS writes a point, and large figures with an exponent. A float is read by its shortest text,
    which its writer meant.
    """
    text = repr(value) if isinstance(value, float) else str(value)
    try:
        return read_decimal(text, places=_PLACES_MAX, signed=True, exponent=True)
    except BadNumber:
        return None


def _quantity(row: Mapping[str, Any]) -> int | str | None:
    """Return whole units: `1.5` of `1K Tokens` are 1,500. None if there is no quantity, text if it is
    not a whole number."""
    written = row.get("ConsumedQuantity", "")
    quantity = number_of(written)
    if quantity is None:
        # With its unit no check takes it for a number of tokens.
        return f"{written} ({row.get('ConsumedUnit', '')})" if str(written) else None
    # Exact: a bill's quantity is decimal, and a million times it may still be whole.
    exact = exact_product(quantity, scale_of(row.get("ConsumedUnit")))
    return int(exact) if exact == int(exact) else f"{exact:f}"


def usage_rows(sums: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    """Yield FOCUS rows of usage from sums by hour: `hour` (since 1970), organisation, project,
    seller, cloud, region, product, model, tier, and units by column.

    One row per unit; a whole without its parts, which have rows of their own.
    """
    for row in sums:
        reported = {unit: int(row.get(unit.column) or 0) for unit in Unit}
        counts = dict(reported)
        for part, whole in CONTAINED_IN.items():
            counts[whole] -= reported[part]
        for unit, count in counts.items():
            if count:
                yield _usage_row(row, unit, count)


def _usage_row(row: Mapping[str, Any], unit: Unit, count: int) -> dict[str, str]:
    begin, end = (_written(int(row["hour"]) + later) for later in (0, 1))
    about = [
        row["hour"],
        *(
            row[name]
            for name in ("organisation", "project", "seller", "cloud", "region", "product")
        ),
    ]
    tier = row["tier"] if row["tier"] != DEFAULT_TIER else ""
    named = [*about, row["model"], unit.column, *([tier] if tier else [])]
    # The same hour and place has the same id in every export, so importing it twice changes
    # nothing.
    charge = hashlib.sha256(msgspec.json.encode(named)).hexdigest()
    return dict(
        zip(
            USAGE_COLUMNS,
            (
                begin,
                end,
                "Usage",
                row["cloud"],
                row["seller"],
                row["organisation"],
                row["organisation"],
                ORGANISATION,
                row["project"],
                row["project"],
                PROJECT if row["project"] else "",
                row["region"],
                "AI and Machine Learning",
                "Model inference",
                f"{row['product']} {unit.column}",
                f"{count}.0",
                _UNIT_WORDS.get(unit, "Tokens"),
                row["product"],
                row["model"],
                row["cloud"],
                row["seller"],
                unit.column,
                tier,
                charge,
            ),
            strict=True,
        )
    )


def _written(hour: int) -> str:
    return datetime.fromtimestamp(hour * 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
