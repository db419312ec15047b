"""The library that programs import: its reference names everything offered, and its examples are run."""

import doctest
import importlib
import inspect
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from docsite.library import library_page

import clauseway
from clauseway import Home, InvalidInput, Statement, Usage, diff, open_agreement, price, statement, usage
from clauseway.app.opening.prices import PriceWorking
from in_process import answer, run

FUNCTIONS = [name for name in clauseway.__all__ if inspect.isfunction(getattr(clauseway, name))]
# Functions that answer from what is checked already.
RAISES_NOTHING = {"check_agreement", "explain", "home_at", "list_facts"}
# Functions that answer from a home, and what they need besides it.
OF_A_HOME = {"usage": (), "statement": ("2026-05",), "explain_line": ("2pa4zs7k",)}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    assert run("init", "--demo", "statements", cwd=folder).returncode == 0
    return folder


def described(name: str, offered: Any) -> Iterator[tuple[str, Any]]:
    """Yield the library's object of this name, and its own and inherited methods."""
    yield name, offered
    for of, method in inspect.getmembers(offered, inspect.isfunction):
        if method.__module__.startswith("clauseway.") and inspect.isclass(offered):
            yield f"{name}.{of}", method


def examples() -> Iterator[doctest.DocTest]:
    """Every docstring with an example, of what the library offers."""
    for name in clauseway.__all__:
        offered = getattr(clauseway, name)
        for of_name, of in described(name, offered):
            if (text := inspect.getdoc(of)) and ">>>" in text:
                yield doctest.DocTestParser().get_doctest(text, {}, of_name, None, 0)


@pytest.mark.parametrize("example", list(examples()), ids=lambda each: each.name)
def test_an_example_answers_as_it_shows(example: doctest.DocTest, demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(demo)
    monkeypatch.delenv("CLAUSEWAY_HOME", raising=False)
    messages: list[str] = []
    done = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=messages.append)
    assert done.failed == 0, "".join(messages)
    assert done.attempted


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_shown_by_example(name: str) -> None:
    assert ">>> " in (inspect.getdoc(getattr(clauseway, name)) or "")


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in RAISES_NOTHING])
def test_a_function_says_what_it_raises(name: str) -> None:
    assert "Raise InvalidInput" in (inspect.getdoc(getattr(clauseway, name)) or "")


def test_the_reference_names_all_that_is_offered() -> None:
    page = library_page()
    assert [name for name in clauseway.__all__ if f"\n### {name}\n" not in page] == []
    assert ">>> " not in page


def test_what_is_offered_is_what_type_checkers_see() -> None:
    """They read the imports that never run; programs get what the table names."""
    source = Path(clauseway.__file__).read_text("utf-8")
    offered = clauseway._OFFERED
    assert sorted(offered) == sorted(clauseway.__all__)
    for name, module in offered.items():
        assert hasattr(importlib.import_module(module), name)
        assert name in source.partition("_OFFERED")[0], name
    assert (Path(clauseway.__file__).parent / "py.typed").exists()


def test_a_program_and_the_command_are_given_the_same_price() -> None:
    asked = {"cloud": "aws", "as_of": "2026-05-01", "known_at": "2026-06-30"}
    working = clauseway.price("gpt-5.5", tokens={"in": 1000, "cached": 400, "out": 500}, **asked)
    assert isinstance(working, PriceWorking)
    flags = ["--cloud", "aws", "--as-of", "2026-05-01", "--known-at", "2026-06-30"]
    result = answer("price", "gpt-5.5", *flags, "--tokens", "in=1000,cached=400,out=500")
    assert str(working.amount) == result["amount"]


@pytest.mark.parametrize("name", OF_A_HOME)
def test_an_empty_home_is_refused_not_answered(name: str, tmp_path: Path) -> None:
    for home in (tmp_path, str(tmp_path), Home(tmp_path)):
        with pytest.raises(InvalidInput) as refused:
            getattr(clauseway, name)(*OF_A_HOME[name], home=home)
        assert refused.value.problems[0].what == "nothing was ever recorded there"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"cloud": ""}, "no cloud"),
        ({"cloud": "nowhere"}, "unknown cloud"),
        ({"cloud": "azure", "tokens": {"words": 3}}, "'words=3' is not usage"),
        ({"cloud": "azure", "tokens": {"in": -1}}, "'in=-1' is not usage"),
        ({"cloud": "azure", "as_of": "yesterday"}, "'yesterday' is not a day"),
        ({"cloud": "azure", "prices": "none.csv"}, "the price book cannot be read"),
    ],
)
def test_a_price_that_cannot_be_had_is_refused(given: dict[str, object], what: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        clauseway.price("gpt-5.5", **given)  # type: ignore[arg-type]
    assert what in refused.value.problems[0].what


def test_one_name_is_one_and_not_its_letters(demo: Path) -> None:
    assert clauseway.usage(by="product", home=demo / ".clauseway") == clauseway.usage(
        by=["product"], home=demo / ".clauseway"
    )


def amounts_and_counts() -> tuple[Decimal, list[Usage], Statement, int]:
    """Return values of the types that a typed program gets: never run, read by mypy."""
    return (
        price("gpt-5.5", cloud="azure", as_of=date(2026, 5, 1)).amount,
        usage(by=["cloud"]),
        statement("2026-05", party="microsoft"),
        len(diff(open_agreement(), "A4", "A5", known_at=["2026-04-26", "2026-04-27"]).changed),
    )
