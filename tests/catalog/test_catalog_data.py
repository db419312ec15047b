"""The catalog's data: the shipped files are sound and sourced, and what a line says holds on the days that it says."""

from datetime import date

import pytest

from clauseway.app.opening.library import open_agreement
from clauseway.app.opening.offerings import (
    lacking_on,
    shipped_matrix,
    shipped_models,
    shipped_products,
    shipped_versions,
    surface_of,
)
from clauseway.app.opening.products import ProductNames, snapshot_of
from clauseway.catalog import BITS, SURFACES, Capability, parse_matrix, parse_models, parse_versions
from clauseway.values import InvalidInput

HEADER = "surface,product,capability,has,from,until,source\n"
MATRIX = parse_matrix(
    HEADER
    + "azure-v1,,web-search,no,,2026-03-01,a page\n"
    + "azure-v1,,web-search,yes,2026-03-01,,another page\n"
    + "azure-v1,small,web-search,no,2026-02-01,,a third page\n"
    + "oci,,vision,no,,,a fourth page\n"
    + "bedrock-mantle,,vision,no,,2026-04-01,a fifth page\n",
    "matrix.csv",
)
MODELS = "product,surface,kind,context_tokens_max,output_tokens_max,image_tokens_max,source\n"
NAMES = "name,product,role,from,source\n"
RETIREMENTS = "name,vendor,day,successor,source\n"

# surface, product, day → lacks web search?
DAYS = [
    ("azure-v1", "large", "2026-02-28", True),
    ("azure-v1", "large", "2026-03-01", False),  # the latest start up to the day
    ("azure-v1", "small", "2026-03-01", True),  # a line that names the product goes before one that names none
    ("oci", "large", "2026-03-01", False),  # what no line speaks of is there
]


@pytest.mark.parametrize(("surface", "product", "day", "lacks"), DAYS)
def test_what_a_surface_lacks_on_a_day(surface: str, product: str, day: str, lacks: bool) -> None:
    lacking = MATRIX.lacking(surface, product, date.fromisoformat(day))
    assert (Capability.WEB_SEARCH in lacking) is lacks


def test_the_days_on_which_that_changes_are_known() -> None:
    assert MATRIX.days("azure-v1", "large") == [date.min, date(2026, 3, 1)]
    assert MATRIX.days("azure-v1", "small") == [date.min, date(2026, 2, 1), date(2026, 3, 1)]
    assert MATRIX.days("vertex-chat", "large") == [date.min]
    # A line that ends is the last word on nothing: from its end on the capability is there.
    assert MATRIX.days("bedrock-mantle", "large") == [date.min, date(2026, 4, 1)]


def test_a_reason_names_its_source() -> None:
    lacking = MATRIX.lacking("azure-v1", "small", date(2026, 5, 1))
    assert lacking[Capability.WEB_SEARCH].reason == "since 2026-02-01; a third page"


def test_every_capability_has_a_bit_of_its_own() -> None:
    assert sorted(BITS.values()) == [1 << index for index in range(len(Capability))]


BAD_LINES = [
    ("marble,,vision,no,,,s", "unknown surface 'marble'"),
    ("oci,,sight,no,,,s", "unknown capability 'sight'"),
    ("oci,,vision,maybe,,,s", "unknown has 'maybe'"),
    ("oci,,vision,no,,,", "source is empty"),
    ("oci,,vision,no,2026-02-30,,s", "from: '2026-02-30' is not a day"),
    ("oci,,vision,no,2026-02-02,2026-02-02,s", "the line never holds"),
    ("oci,,vision,no,,", "a line does not fit"),
]


@pytest.mark.parametrize(("line", "what"), BAD_LINES)
def test_a_bad_line_is_told_with_its_number(line: str, what: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_matrix(f"# a remark\n{HEADER}{line}\n", "matrix.csv")
    (problem,) = refused.value.problems
    assert (problem.what, problem.line, problem.where) == (what, 3, "matrix.csv")


def test_two_lines_for_one_day_are_an_error() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_matrix(HEADER + "oci,,vision,no,,,s\noci,,vision,yes,,,s\n", "matrix.csv")
    assert refused.value.problems[0].line == 3


def test_other_columns_are_refused() -> None:
    with pytest.raises(InvalidInput):
        parse_matrix("surface,has\noci,no\n", "matrix.csv")


VERSIONS = "surface,capability,preview,stable,source\n"
SINCE = parse_versions(
    VERSIONS
    + "azure-dated,json-schema,2024-08-01,2024-10-21,a page\n"
    + "azure-dated,predicted-output,2025-01-01,,another page\n"
    + "azure-dated,background,,,a third page\n",
    "versions.csv",
)

# version → what it is too old for
TOO_OLD = [
    ("2024-06-01", {"json-schema", "predicted-output", "background"}),
    ("2024-10-21", {"predicted-output", "background"}),
    ("2026-01-01", {"predicted-output", "background"}),  # in no version for good
    ("2024-07-01-preview", {"json-schema", "predicted-output", "background"}),
    ("2024-08-01-preview", {"predicted-output", "background"}),
    ("2025-01-01-preview", {"background"}),
    ("preview", set()),
    ("", set()),
]


@pytest.mark.parametrize(("version", "lacking"), TOO_OLD)
def test_what_a_version_is_too_old_for(version: str, lacking: set[str]) -> None:
    assert set(SINCE.lacking("azure-dated", version)) == lacking
    assert not SINCE.lacking("azure-v1", version)


def test_a_version_tells_since_when() -> None:
    lacking = SINCE.lacking("azure-dated", "2024-06-01")
    assert [line.reason for line in lacking.values()] == [
        "there from 2024-08-01-preview or 2024-10-21 on; a page",
        "there from 2025-01-01-preview on; another page",
        "in no dated version; a third page",
    ]


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ("azure,vision,,,s\n", "unknown surface 'azure'"),
        ("azure-dated,sight,,,s\n", "unknown capability 'sight'"),
        ("azure-dated,vision,2024-13-01,,s\n", "preview: '2024-13-01' is not a day"),
        ("azure-dated,vision,,,\n", "source is empty"),
        ("azure-dated,mcp,,,s\nazure-dated,mcp,,,s\n", "a second line for azure-dated mcp"),
    ],
)
def test_a_bad_line_of_versions_is_told(lines: str, what: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_versions(VERSIONS + lines, "versions.csv")
    assert refused.value.problems[0].what == what


def test_a_surface_tells_what_its_versions_lack() -> None:
    sources = {gap.capability: gap.source for gap in lacking_on("azure-dated", "", date(2026, 11, 20))}
    assert sources["json-schema"].startswith("there from 2024-08-01-preview or 2024-10-21 on; ")
    assert not sources["flex"].startswith("there from")


def test_names_lead_to_products_and_a_products_own_name_is_its_own() -> None:
    models = parse_models(
        MODELS + "large,,text,1000,100,,s\nsmall,,text,1000,100,,s\n",
        NAMES + "large-2026-01-01,large,snapshot,2026-01-01,s\nsmall,large,alias,,s\nbig,large,alias,,s\n",
        RETIREMENTS,
    )
    assert models.named(["large", "small"]) == {
        "large": "large",
        "small": "small",
        "large-2026-01-01": "large",
        "big": "large",
    }
    assert models.named(["small"]) == {"small": "small"}
    assert models.snapshots == {"large-2026-01-01": "large"}


@pytest.mark.parametrize(
    ("vendor", "surface", "holds"),
    [
        ("", "oci", True),
        ("azure", "azure-v1", True),
        ("azure", "azure-dated", True),
        ("azure-v1", "azure-dated", False),
        ("openai", "compatible", False),
    ],
)
def test_a_retirement_holds_for_a_vendor(vendor: str, surface: str, holds: bool) -> None:
    line = f"large,{vendor},2026-10-23,larger,a page\n"
    (retirement,) = parse_models(MODELS, NAMES, RETIREMENTS + line).retirements
    assert retirement.holds_on(surface) is holds
    assert "'larger'" in retirement.sentence
    assert "2026-10-23" in retirement.sentence


ENDED = [
    ("large", "openai", "a page"),
    ("big", "openai", "a page"),  # an alias ends with its product
    ("large-2026-01-01", "openai", "a second page"),  # a line of its own goes before
    ("large-2026-02-02", "openai", "a page"),
    ("ours", "openai", "a page"),  # a name that a configuration gives to the product
    ("large", "azure-v1", "a third page"),  # the surface goes before all that begin with it
    ("large-2026-01-01", "azure-v1", "a third page"),
    ("large", "azure-dated", "a fourth page"),
    ("large", "oci", ""),
    ("other", "openai", ""),
]


@pytest.mark.parametrize(("name", "surface", "source"), ENDED)
def test_a_name_ends_with_its_product_where_it_has_no_day_of_its_own(name: str, surface: str, source: str) -> None:
    models = parse_models(
        MODELS + "large,,text,1000,100,,s\n",
        NAMES + "big,large,alias,,s\nlarge-2026-01-01,large,snapshot,,s\nlarge-2026-02-02,large,snapshot,,s\n",
        RETIREMENTS + "large,openai,2026-10-23,,a page\nlarge-2026-01-01,openai,2026-11-23,,a second page\n"
        "large,azure,2026-10-23,,a fourth page\nlarge,azure-v1,2026-10-23,,a third page\n",
    )
    product = "" if name == "other" else "large"
    ended = models.ended(name, product, surface)
    assert (ended.source if ended is not None else "") == source


def test_a_line_for_a_surface_goes_before_one_for_all() -> None:
    models = parse_models(MODELS + "large,,text,1000,100,,s\nlarge,oci,text,500,100,,s\n", NAMES, RETIREMENTS)
    assert [models.of("large", surface).context_tokens_max for surface in ("oci", "openai")] == [500, 1000]
    assert models.of("never heard of", "openai").context_tokens_max == 0


def test_what_ships_is_sound_and_every_line_has_its_source() -> None:
    matrix, models = shipped_matrix(), shipped_models()
    assert {line.surface for line in shipped_versions().lines} == {"azure-dated"}
    assert {entry.surface for entry in matrix.entries} <= set(SURFACES)
    sources = [entry.source for entry in matrix.entries]
    sources += [model.source for model in models.models.values()]
    sources += [name.source for name in models.names]
    sources += [retirement.source for retirement in models.retirements]
    assert all(sources)
    assert {name.name for name in models.names}.isdisjoint(product for product, _ in models.models)


@pytest.mark.parametrize(
    ("dialect", "url", "service", "surface"),
    [
        ("openai", "https://api.openai.com/v1", "", "openai"),
        ("openai", "https://eu.api.openai.com/v1", "", "openai"),
        ("openai", "http://127.0.0.1:8000/v1", "", "compatible"),
        ("azure", "https://contoso.openai.azure.com/openai/v1", "", "azure-v1"),
        ("azure", "https://contoso.openai.azure.com/openai", "", "azure-dated"),
        ("bedrock", "https://bedrock-mantle.us-east-2.api.aws/openai/v1", "", "bedrock-mantle"),
        ("bedrock", "https://bedrock-runtime.us-east-2.amazonaws.com/openai/v1", "", "bedrock-runtime"),
        ("bedrock", "http://127.0.0.1:9/openai/v1", "bedrock", "bedrock-runtime"),
        ("vertex", "https://aiplatform.googleapis.com/v1/p/endpoints/openapi", "", "vertex-chat"),
        ("vertex", "https://aiplatform.googleapis.com/v1/p/publishers/openai/v1", "", "vertex-responses"),
        ("oci", "https://inference.generativeai.us-chicago-1.oci.oraclecloud.com/openai/v1", "", "oci"),
    ],
)
def test_an_address_is_a_surface(dialect: str, url: str, service: str, surface: str) -> None:
    assert surface_of(dialect, url, service) == surface


def test_products_are_neither_aliases_nor_snapshots() -> None:
    products = shipped_products()
    assert {"gpt-5.5", "gpt-4o-mini", "whisper-1", "gpt-4", "tts-1", "chatgpt-image-latest"} <= products
    others = {name.name for name in shipped_models().names}
    assert products.isdisjoint(others | {"gpt-4-0613", "gpt-4-1106-preview", "gpt-4o-mini-2024-07-18", "o1-2024-12-17"})


# A name of Anthropic's | the agreement's product | the dated snapshot that it is
CLAUDE = [
    ("claude-opus-4-7", "claude-opus-4.7", ""),
    ("claude-sonnet-4-5", "claude-sonnet-4.5", ""),
    ("claude-haiku-4-5-20251001", "claude-haiku-4.5", "claude-haiku-4-5-20251001"),
    ("anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4.5", "claude-haiku-4-5-20251001"),  # AWS
    ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4.5", "claude-haiku-4-5-20251001"),  # AWS, by region
    ("claude-haiku-4-5@20251001", "claude-haiku-4.5", "claude-haiku-4-5-20251001"),  # Google
    ("anthropic/claude-haiku-4.5", "claude-haiku-4.5", ""),
    ("claude-haiku-4-5-20260101", "claude-haiku-4.5", ""),  # no snapshot that is known
    ("claude-haiku-9", "", ""),
]


@pytest.mark.parametrize(("name", "product", "snapshot"), CLAUDE)
def test_one_snapshot_has_a_name_on_each_cloud(name: str, product: str, snapshot: str) -> None:
    meant = ProductNames(open_agreement().catalog).meant(name)
    assert (meant.product, meant.snapshot) == (product, snapshot) if meant else not product
    assert snapshot_of(name) == snapshot


def test_a_model_retires_under_each_of_its_names() -> None:
    """A client asks by the vendor's name, an agreement by the product's."""
    models = shipped_models()
    retired = {(end.name, end.vendor) for end in models.retirements}
    missed = {
        (name.name, end.vendor)
        for end in models.retirements
        for name in models.names
        if end.name == name.product and name.name.startswith("claude")
    } - retired
    assert not missed


def test_a_name_without_a_class_lies_in_itself_alone() -> None:
    catalog = open_agreement().catalog
    assert catalog.lineage("gpt-5.5") == {"gpt-5.5", "api.stateless", "api"}
    assert catalog.lineage("gpt-4o-mini") == {"gpt-4o-mini"}
    assert (catalog.names_product("gpt-5.5"), catalog.names_product("gpt-4o-mini")) == (True, False)
