"""Verifiers of passwords: each is made at the cost that ships, and tried at the cost that stands in it."""

import subprocess
import sys
from contextlib import closing

import pytest

from clauseway.storage import Control
from clauseway.storage.control.engines import Place
from clauseway.storage.control.passwords import matches, password_of, unmatched_verifier, verifier_of

PRINTED = """
from clauseway.storage.control.passwords import unmatched_verifier, verifier_of

print(verifier_of("a long sentence"), unmatched_verifier())
"""


def test_a_program_makes_verifiers_at_the_cost_that_ships() -> None:
    """In a process of its own: the tests' own processes make cheap ones."""
    done = subprocess.run([sys.executable, "-c", PRINTED], capture_output=True, text=True, check=True)
    verifier, unmatched = done.stdout.split()
    assert verifier.startswith("scrypt:32768:8:3:")
    assert unmatched.startswith("scrypt:32768:8:3:")
    assert matches("a long sentence", verifier)
    assert not matches("another sentence", verifier)


def test_a_verifier_is_tried_at_the_cost_that_stands_in_it() -> None:
    cheap = verifier_of("a long sentence")
    assert not cheap.startswith("scrypt:32768:")
    assert matches("a long sentence", cheap)
    assert not matches("a long sentence", unmatched_verifier())


@pytest.mark.parametrize("account", ["anna", "", "\0", "anna\0"])
def test_an_account_that_does_not_exist_has_none_however_it_is_typed(place: Place, account: str) -> None:
    with closing(Control.open(place)) as control, control.reading() as connection:
        assert password_of(connection, account) is None
