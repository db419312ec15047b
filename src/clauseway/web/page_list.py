"""The list of pages, and the navigation. Each reader's module has the pages of its screen."""

from typing import Final, Protocol

import msgspec

from clauseway.web.auditor import AUDITOR_PAGES, AuditorSource
from clauseway.web.engineer import ENGINEER_PAGES, EngineerSource
from clauseway.web.finance import AUDITORS_TOO, FINANCE_PAGES, FinanceSource
from clauseway.web.lawyer import LAWYER_PAGES, LawyerSource
from clauseway.web.overview import OVERVIEW_PAGES, OverviewSource
from clauseway.web.page import WebPage


class PageSource(
    OverviewSource, EngineerSource, LawyerSource, FinanceSource, AuditorSource, Protocol
):
    """The source of every page.

    Each method may raise `Unavailable`, or InvalidInput for a wrong address; the pages then show
    the reason.
    """


class Screen(msgspec.Struct, frozen=True):
    """An entry of the navigation."""

    path: str
    label: str


# A statement or a ledger of a month, as a file.
FILES = "/download/{document}/{period}/{form}"
FILES_SCREENS, ENGINEER_SCREEN = ("/finance", *AUDITORS_TOO), "/engineer"
SCREENS = (
    Screen("/", "Overview"),
    Screen("/engineer", "Engineer"),
    Screen("/lawyer", "Lawyer"),
    Screen("/finance", "Finance"),
    Screen("/auditor", "Auditor"),
)

PAGES: Final[tuple[WebPage[PageSource], ...]] = (
    *OVERVIEW_PAGES,
    *ENGINEER_PAGES,
    *LAWYER_PAGES,
    *FINANCE_PAGES,
    *AUDITOR_PAGES,
)
