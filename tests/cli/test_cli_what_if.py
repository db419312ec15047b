"""`settle --under` as a person calls it."""

from decimal import Decimal as D

import pytest

from clauseway.app.opening.home import Home
from in_process import answer, run
from metered_months import assumed, metered_home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return metered_home(tmp_path_factory.mktemp("months"))


def test_beside_the_real_month_in_words_and_for_machines(home: Home) -> None:
    flags = ["--home", str(home.root), *assumed(), "--under", "A3"]
    told = run("settle", "--period", "2026-05", *flags)
    assert told.returncode == 0, told.stderr
    for words in ("under the terms as of A3", "Nothing was posted", "microsoft loses 20.00 USD", "cap = USD"):
        assert words in " ".join(told.stdout.split()), told.stdout
    found = answer("settle", "--period", "2026-05", *flags)
    assert [D(one["difference"]) for one in found["beside"]["directions"]] == [D("20.00"), D("0.00")]


@pytest.mark.parametrize("under", ["A9", "R1=maybe", "cap=much", "nothing=1"])
def test_what_cannot_be_supposed_is_refused(home: Home, under: str) -> None:
    flags = ["--home", str(home.root), *assumed()]
    told = run("settle", "--period", "2026-05", *flags, "--under", under)
    assert told.returncode == 3
    assert under.partition("=")[0] in told.stderr
