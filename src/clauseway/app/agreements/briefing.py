"""An amendment on a page: the two sides that it is compared on, and the brief that is made of them.

brief(opened, "A5")   → Brief; `markdown_of` makes the page of it
"""

from collections.abc import Mapping

from clauseway.app.agreements.comparing import amendment_sides, compare_or_later
from clauseway.app.opening.library import OpenAgreement
from clauseway.values import KnownAt
from clauseway.wording.brief import brief_of
from clauseway.wording.brief_page import Brief


def brief(
    opened: OpenAgreement,
    name: str,
    reading: Mapping[str, str] | None = None,
    known_at: KnownAt | None = None,
) -> Brief:
    """Return an amendment of the agreement in brief, by what was known at `known_at`.

    Without `known_at`, answers use what was known by the end of the day on which the amendment
    takes effect, and all facts since then are listed. Raise InvalidInput for an amendment that does
    not exist, or of which nothing was known then.
    """
    comparison = compare_or_later(opened, [name], reading, known_at)
    sides, _ = amendment_sides(opened, [name], reading, known_at)
    return brief_of(opened, name, sides, comparison, known_at or KnownAt.everything())
