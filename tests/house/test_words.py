"""Names in the code: a class has its name for itself, and the field's word is the one that is used."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src/clauseway"
GLOSSARY = Path(__file__).parents[2] / "docs/GLOSSARY.md"
# A word that once was a name here | the field's word
FORMER = [
    ("docket", "context"),
    ("purse", "budget slice"),
    ("lessor", "lease server"),
    ("desk", "connection"),
    ("keeper", "credential cache"),
    ("tally", "counters"),
    ("twin", "fake cloud"),
    ("situation", "legal position"),
    ("told", "reported"),
]
# Words that once stood in texts for people | what is said now
FORMER_TEXT = [
    (r"passed[ -]over", "skipped"),
    (r"front[ -]doors?", "API, front end, listener or screen"),
    (r"plans? (that )?(is|was|are|were) taken over", "reloaded"),
    (r"takes? over a (new plan|changed)", "reloads"),
]
PRONOUNS = {"one", "found", "told"}


@cache
def modules() -> dict[str, ast.Module]:
    """Every module by its path under the package."""
    paths = sorted(SOURCE.rglob("*.py"))
    return {str(path.relative_to(SOURCE)): ast.parse(path.read_text("utf-8")) for path in paths}


def types_of(module: ast.Module) -> Iterator[str]:
    """The public classes and type aliases at the top of a module."""
    for node in module.body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            names = (target.id for target in node.targets if isinstance(target, ast.Name))
            yield from (name for name in names if re.fullmatch(r"[A-Z][a-z]\w*", name))


def bound(module: ast.Module) -> Iterator[str]:
    """Every name that a module binds: classes, functions, parameters, variables, attributes. Fields have the names of
    files."""
    classes = [node for node in ast.walk(module) if isinstance(node, ast.ClassDef)]
    fields = {id(field.target) for class_ in classes for field in class_.body if isinstance(field, ast.AnnAssign)}
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) not in fields:
            yield node.id


def test_each_public_type_has_its_name_for_itself() -> None:
    homes = defaultdict(list)
    for path, module in modules().items():
        for name in types_of(module):
            if not name.startswith("_"):
                homes[name].append(path)
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


@cache
def bound_names() -> list[tuple[str, str]]:
    """Every name that a module binds, with the module's path."""
    return [(path, name) for path, module in modules().items() for name in bound(module)]


@pytest.mark.parametrize(("former", "word"), FORMER)
def test_the_word_of_the_field_is_the_name(former: str, word: str) -> None:
    named = re.compile(rf"(^|_){former}s?(_|$)|{former.title()}(s|[A-Z]|$)", re.IGNORECASE)
    using = {f"{path}: {name}" for path, name in bound_names() if named.search(name)}
    assert using == set(), f"write {word}"


@cache
def texts() -> dict[str, str]:
    """Every source, document and test by its path, without the records of choices and releases."""
    root = SOURCE.parents[1]
    paths = [path for folder in ("src", "docs", "tests") for path in (root / folder).rglob("*") if path.is_file()]
    paths += [root / "README.md", root / "CONTRIBUTING.md"]
    kinds = {".py", ".md", ".toml", ".j2"}
    kept = [path for path in paths if path.suffix in kinds and "choices" not in path.parts and path != Path(__file__)]
    return {str(path.relative_to(root)): path.read_text("utf-8") for path in kept}


@pytest.mark.parametrize(("former", "word"), FORMER_TEXT)
def test_a_text_says_the_word_of_the_field(former: str, word: str) -> None:
    said = re.compile(former.replace(" ", r"\s+"), re.IGNORECASE)
    assert [path for path, text in texts().items() if said.search(text)] == [], f"write {word}"


def test_no_pronoun_is_a_name() -> None:
    using = {f"{path}: {name}" for path, name in bound_names() if name.strip("_") in PRONOUNS}
    assert using == set()


# The most comments and docstrings of a thousand that may open with a noun clause (`What a term forbids …`).
NOUN_CLAUSES_MAX = 5


def test_few_sentences_open_with_a_noun_clause() -> None:
    """Name the subject (`Acts that a term forbids …`), or say who does what."""
    opening = re.compile(r'(?:"""|#\s)\s*([A-Z][a-z]+)')
    files = {str(path.relative_to(SOURCE)): path.read_text("utf-8") for path in sorted(SOURCE.rglob("*.py"))}
    words = [(path, word) for path, text in files.items() for word in opening.findall(text)]
    clauses = [path for path, word in words if word in {"What", "Whether", "Who", "Which"}]
    assert len(clauses) * 1000 <= len(words) * NOUN_CLAUSES_MAX, clauses


def plain(text: str) -> str:
    """Lower-case words with spaces between them: `UsageBatch`, `usage_batch` and `usage-batch` are the same two."""
    return re.sub(r"[\s_-]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)).lower()


def defined() -> list[str]:
    """Every word that the glossary defines, in its order."""
    return [plain(word) for word in re.findall(r"\*\*(.+?)\*\*", GLOSSARY.read_text("utf-8"))]


def test_each_word_of_the_glossary_is_defined_once() -> None:
    words = defined()
    assert [word for word in words if words.count(word) > 1] == []


def test_each_word_of_the_glossary_is_used() -> None:
    files = [path for path in SOURCE.rglob("*") if path.suffix in {".py", ".md", ".j2"}]
    used = plain(" ".join(path.read_text("utf-8") for path in files))
    # Where its letters stand first, a pattern is searched for twenty times as fast as behind a boundary.
    pattern = r"{0}(?<=\b{0})(s|es)?\b"
    assert [word for word in defined() if not re.search(pattern.format(word), used)] == []
