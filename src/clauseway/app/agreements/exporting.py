"""Exports of the agreement, handed to the room that knows the foreign format."""

from collections.abc import Mapping
from datetime import UTC, date, datetime

import msgspec

from clauseway.app.opening.library import OpenAgreement, day_given, known_point
from clauseway.app.opening.several import Opened, each_of, own_readings
from clauseway.decisions import check_readings
from clauseway.exchange.agreements.cedar import CEDAR_SCHEMA, cedar_entities, cedar_policies
from clauseway.exchange.agreements.extract import Extract
from clauseway.values import KnownAt


def extract(
    opened: OpenAgreement,
    as_of: date | str | None = None,
    known_at: KnownAt | date | str | None = None,
    reading: Mapping[str, str] | None = None,
) -> Extract:
    """Return the agreement in force on a day, as known on a day: exports are written from it.

    Defaults: today and now. Raise InvalidInput for a bad day or reading.
    """
    force = opened.in_force(as_of, known_at, reading)
    return Extract(
        agreement=opened.agreement,
        catalog=opened.catalog,
        force=force,
        facts=opened.facts.known(force.known_at),
        readings=check_readings(opened.agreement, reading or {}),
    )


def extracts(
    opened: Opened,
    as_of: date | str | None = None,
    known_at: KnownAt | date | str | None = None,
    reading: Mapping[str, str] | None = None,
) -> dict[str, Extract]:
    """Return the extract of each of several agreements, by its id, all as of one day and one point
    of knowledge."""
    day = day_given(as_of, "--as-of") or datetime.now(UTC).date()
    point, chosen = known_point(known_at), reading or {}
    return {
        asked.agreement.id: extract(asked, day, point, own_readings(opened, asked, chosen))
        for asked in each_of(opened)
    }


COMBINATION = """\
Several agreements in force at once: a right needs a permission in one of them and no prohibition in any. Ask each
agreement's file for itself, then join the answers; the first line that fits holds.

0. An agreement that does not name the party, the other party, the cloud or the product answers: unstated. To one that
   does not know the customer segment, the customers claim none ("any").
1. A revenue share (share-revenue): permitted in one: permitted.
2. Forbidden in one: forbidden.
3. Unstated in all: unstated.
4. Conditional in one, and still conditional there when asked as if a grant of the product to the party (for a serving
   that another sells, to the seller too) were recorded: conditional. Write the file again with
   --suppose grant:PARTY:PRODUCT=DAY to ask so.
5. Permitted in one: permitted. What only lacks a grant elsewhere needs none there.
6. Conditional.
"""


def cedar(taken: Extract) -> tuple[str, str]:
    """Return the agreement in force as Cedar policies, and the entities they speak of as JSON."""
    return cedar_policies(taken), _json(cedar_entities(taken))


def cedar_schema(_: Extract) -> str:
    """Return the schema of every agreement's policies and entities."""
    return CEDAR_SCHEMA


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
