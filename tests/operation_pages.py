"""The pages that an operator works by, and their sections."""

import re
from pathlib import Path

_DOCS = Path(__file__).parents[1] / "docs"
_NAMES = ("operation", "several-machines", "monitoring", "runbook", "roles", "basis")
# A page ends as a section does.
PAGES = "\n## \n".join((_DOCS / f"{name}.md").read_text() for name in _NAMES)


def section(heading: str) -> str:
    """What stands under a heading, until the next one of its height or higher."""
    begin = re.search(rf"(?m)^(##+) {re.escape(heading)}\n", PAGES)
    assert begin, heading
    return re.split(rf"(?m)^#{{2,{len(begin[1])}}} ", PAGES[begin.end() :])[0]
