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
    result = run("settle", "--period", "2026-05", *flags)
    assert result.returncode == 0, result.stderr
    for words in ("under the terms as of A3", "Nothing was posted", "microsoft loses 20.00 USD", "cap = USD"):
        assert words in " ".join(result.stdout.split()), result.stdout
    outcome = answer("settle", "--period", "2026-05", *flags)
    assert [D(direction["difference"]) for direction in outcome["beside"]["directions"]] == [D("20.00"), D("0.00")]


SAID = [
    # the flag, what is compared, what each party gains or loses, when the old share ended
    ("A3", "under the terms as of A3 (USD)", "microsoft loses 20.00 USD openai gains 20.00 USD"),
    ("cap=60", "under the same terms, with cap=60 (USD)", "microsoft loses 28.80 USD openai gains 28.80 USD"),
    ("cap=900", "under the same terms, with cap=900 (USD)", "microsoft is as before: 0.00 USD openai is as before:"),
]


@pytest.mark.parametrize(("under", "compared", "gains"), SAID)
def test_people_read_what_is_compared_and_who_gains(home: Home, under: str, compared: str, gains: str) -> None:
    result = run("settle", "--period", "2026-05", "--home", str(home.root), *assumed(), "--under", under)
    said = " ".join(result.stdout.split())
    assert f"What if: 2026-05 {compared}" in said
    assert gains in said
    # 20 % of 100 in April from the 27th on, and of 344 in May: 88.80 of the cap.
    assert "real: of the cap 38,000,000,000.00, 88.80 consumed by the end of the period." in said
    assert "real: nothing is due after 26 April 2026 (A5.md:" in said


def test_of_several_agreements_the_changed_agreement_is_named(home: Home) -> None:
    clouds = [f"--assume=share-anthropic-{cloud}" for cloud in ("amazon", "google", "microsoft")]
    both = ["--agreement=openai-microsoft", "--agreement=anthropic-clouds", *assumed(), *clouds]
    flags = ["--period", "2026-05", *both, "--under", "openai-microsoft:A3", "--under", "R1=or"]
    outcome = answer("settle", *flags, home=home.root)
    assert (outcome["period"], outcome["under"]) == ("2026-05", "the terms of openai-microsoft as of A3, reading R1=or")


@pytest.mark.parametrize("under", ["A9", "R1=maybe", "cap=much", "nothing=1"])
def test_what_cannot_be_supposed_is_refused(home: Home, under: str) -> None:
    flags = ["--home", str(home.root), *assumed()]
    result = run("settle", "--period", "2026-05", *flags, "--under", under)
    assert result.returncode == 3
    assert under.partition("=")[0] in result.stderr
