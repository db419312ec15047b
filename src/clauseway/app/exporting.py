"""Exports: our records and our agreement, handed to the room that knows the foreign format."""

from collections.abc import Mapping
from datetime import date

import msgspec

from clauseway.app.home import Home
from clauseway.app.library import OpenAgreement
from clauseway.decisions import check_readings
from clauseway.exchange.beancount import beancount_text
from clauseway.exchange.cedar import cedar_entities, cedar_policies
from clauseway.exchange.extract import Extract
from clauseway.exchange.odrl import odrl_document
from clauseway.exchange.rego import rego_module
from clauseway.storage import Control
from clauseway.values import KnownAt


def beancount_journal(home: Home) -> str:
    """The whole journal as beancount text."""
    control = Control.open(home.make().control)
    try:
        return beancount_text(control.entries(), "Clauseway journal")
    finally:
        control.close()


def extract(
    opened: OpenAgreement,
    as_of: date | str | None = None,
    known_at: KnownAt | date | str | None = None,
    reading: Mapping[str, str] | None = None,
) -> Extract:
    """What is in force on a day, as known on a day: what the agreement's exports are written from. Defaults: today and
    now. Raises InvalidInput for a bad day or reading."""
    force = opened.in_force(as_of, known_at, reading)
    return Extract(
        agreement=opened.agreement,
        catalog=opened.catalog,
        force=force,
        facts=opened.facts.known(force.known_at),
        readings=check_readings(opened.agreement, reading or {}),
    )


def cedar(taken: Extract) -> tuple[str, str]:
    """The agreement in force as Cedar policies, and the entities they speak of as JSON."""
    return cedar_policies(taken), _json(cedar_entities(taken))


def rego(taken: Extract) -> str:
    """The agreement in force as a Rego module."""
    return rego_module(taken)


def odrl(taken: Extract) -> str:
    """The agreement in force as an ODRL policy in JSON-LD."""
    return _json(odrl_document(taken))


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
