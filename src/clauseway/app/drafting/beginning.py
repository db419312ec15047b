"""A first configuration from three answers: the vendors, the models and the agreements.

The answers become entries of a list of models, which are drafted like those of LiteLLM's file.
Values that nobody knows yet (the name of a resource, a project) are written as YOUR-… with a
comment.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from clauseway.app.drafting.importing_litellm import Drafting, ImportedConfiguration, ImportOptions
from clauseway.app.drafting.vendors import AWS, COMPATIBLE
from clauseway.app.opening.list_prices import is_listed, listed_names
from clauseway.exchange.litellm import LitellmFile, LitellmModel
from clauseway.values import Problem, refuse_any, suggestion

_WITHOUT_PRICE = (
    "The vendor lists no price by this name. Write a [[deployment]] with the vendor's own name of the "
    "model into a configuration (`clauseway config example`), and its price into a book of yours "
    "(`clauseway price check FILE`, `clauseway basis prices FILE --why …`)."
)

# Of AWS's ids: the list's word for an area, the version, the date. A first configuration names a
# region of the United States, whose inference profiles begin so.
_LIST_AREA = re.compile(r"^(regional|global)\.")
_VERSION = re.compile(r"(-v\d+(:\d+)?|-\d+:\d+)$")
_DATE = re.compile(r"-\d{8}$")
_REGION, _AREA = "us-east-1", "us."


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """The answers: vendors, models, and the agreements in force; None for no agreement at all."""

    vendors: tuple[str, ...]
    models: tuple[str, ...]
    agreements: tuple[Path, ...] | None


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """LiteLLM's name of a vendor, and the parameters to fill in there."""

    provider: str
    params: Mapping[str, str] = {}

    def model(self, product: str) -> str:
        name = _hyphened(product)
        return f"{self.provider}/{_on_bedrock(name) if self.provider == 'bedrock' else name}"


def _hyphened(product: str) -> str:
    """Return a model's name as its vendor writes it: Anthropic writes no points."""
    return product.replace(".", "-") if product.startswith("claude") else product


def _on_bedrock(name: str) -> str:
    """Return Bedrock's id of a model, which may have a date and a version: of several the last.

    Where the list has it in an area, it is served by that inference profile alone.
    """
    plain = f"{'anthropic' if name.startswith('claude') else 'openai'}.{name}"
    # A name with a date is listed with a version, which is part of the id.
    if not _DATE.search(plain) and is_listed(AWS.listing, plain):
        return plain
    ids = []
    for listed in listed_names(AWS.listing):
        bare = _LIST_AREA.sub("", listed)
        without_version = _VERSION.sub("", bare)
        if plain in (without_version, _DATE.sub("", without_version)):
            ids.append((bare, _AREA if bare != listed else ""))
    bare, area = max(ids, default=(plain, ""))
    return f"{area}{bare}"


VENDORS: Mapping[str, _Asked] = {
    "openai": _Asked(provider="openai"),
    "azure": _Asked(
        provider="azure", params={"api_base": "https://YOUR-RESOURCE.openai.azure.com"}
    ),
    "aws": _Asked(provider="bedrock", params={"aws_region_name": _REGION}),
    "google": _Asked(
        provider="vertex_ai",
        params={"vertex_project": "YOUR-PROJECT", "vertex_location": "global"},
    ),
    "anthropic": _Asked(provider="anthropic"),
    "gemini": _Asked(provider="gemini"),
    **{name: _Asked(provider=name) for name in COMPATIBLE},
}


def begin(answers: Answers, options: ImportOptions) -> ImportedConfiguration:
    """Write a configuration from the answers. Raise InvalidInput with every answer that is not
    valid, and if a file exists already; then write nothing."""
    problems = [
        _problem("--vendor", f"unknown vendor {name!r}", suggestion(name, VENDORS))
        for name in answers.vendors
        if name not in VENDORS
    ]
    for flag, given in (("--vendor", answers.vendors), ("--model", answers.models)):
        if not given:
            problems.append(_problem(flag, "it is missing", f"Give {flag}, once for each."))
    refuse_any(problems)
    read = LitellmFile(models=tuple(_entries(answers)), settings=(), credentials={})
    head = (
        f"A first configuration, made by `clauseway init` on {options.known_at.day}. `clauseway "
        "config example` shows every setting, `clauseway config check` finds every mistake. What "
        "begins with YOUR- is yours to fill in."
    )
    # Every model is tried at every vendor; a vendor that lacks one is nothing to tell of.
    drafting = Drafting(
        msgspec.structs.replace(options, remedy_without_price=_WITHOUT_PRICE),
        read,
        head,
        tells_left_out=False,
    )
    refuse_any(
        _problem("--model", f"none of these vendors serves {name!r}", remedy)
        for name, remedy in drafting.unserved(lambda entry: entry.name).items()
    )
    refuse_any(
        Problem(
            what=f"{vendor} serves none of these models",
            why="nothing would be asked there",
            where="--vendor",
            remedy="Leave it out, or name a model that it serves.",
        )
        for vendor in drafting.unserved(_vendor_of)
    )
    return drafting.done()


def _entries(answers: Answers) -> Iterable[LitellmModel]:
    """Yield every model at every vendor; models that a vendor lacks are left out later."""
    for line, model in enumerate(answers.models, 1):
        for vendor in answers.vendors:
            asked = VENDORS[vendor]
            params: dict[str, Any] = {"model": asked.model(model), **asked.params}
            yield LitellmModel(
                name=model, file="init", line=line, params=params, info={"base_model": model}
            )


def _vendor_of(entry: LitellmModel) -> str:
    provider = entry.params["model"].partition("/")[0]
    return next(name for name, asked in VENDORS.items() if asked.provider == provider)


def _problem(where: str, problem: str, remedy: str) -> Problem:
    return Problem(what=problem, why="the file would not serve", where=where, remedy=remedy)
