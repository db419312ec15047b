"""Programs that tests need as they are installed: a test without them is skipped and says so."""

import shutil

import pytest

NEEDS_CURL = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
