"""The pages that MkDocs reads: those of the repository, with links that hold within the site, and those made
from the code."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path, PurePosixPath

from clauseway.gateway.wire.openapi import gateway_document
from clauseway.web.openapi import pages_document
from docsite.answers import answers_page
from docsite.blocks import blocks_page
from docsite.commands import command_pages
from docsite.configuration import configuration_page
from docsite.endpoints import codes_page, endpoints_page
from docsite.library import library_page
from docsite.tables import table

ROOT = Path(__file__).parents[1]
# Pages of the repository that lie outside `docs`, and where they lie in the site.
_BESIDE = {
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
}
_LINK = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")
_FENCED = re.compile(
    r"^(`{3,})(?:text|console)\n((?:\$ |clauseway ).*?)^\1$", re.DOTALL | re.MULTILINE
)
_PROMPT = "$ "


class Staging:
    """A folder of pages that is being filled; files that pages link to are copied beside them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, place: str, text: str) -> None:
        path = self._folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def add_page(self, source: Path, place: str) -> None:
        """Add a page of the repository, with its links and its commands made for the site."""
        text = _LINK.sub(
            lambda link: self._linked(link[1], source, place), source.read_text("utf-8")
        )
        self.write(place, with_pasteable_commands(text))

    def _linked(self, link: str, source: Path, place: str) -> str:
        path, hash_, anchor = link.partition("#")
        if not path or "://" in link or link.startswith("mailto:"):
            return link
        target = (source.parent / path).resolve()
        if not target.is_relative_to(ROOT) or not target.exists():
            return link  # MkDocs refuses it, by its page
        there = self._place_of(target)
        return os.path.relpath(there, PurePosixPath(place).parent) + hash_ + anchor

    def _place_of(self, target: Path) -> str:
        """Return where a file or folder of the repository lies in the site, and see that it does."""
        name = str(target.relative_to(ROOT))
        if name in _BESIDE:
            return _BESIDE[name]
        if target == ROOT / "docs/choices":
            return "choices/index.md"
        if target.is_relative_to(ROOT / "docs") and not target.is_dir():
            return str(target.relative_to(ROOT / "docs"))
        if name in _STANDS_FOR:
            return _STANDS_FOR[name]
        if target.is_dir():
            links = [
                f"- [{each.name}]({each.name})"
                for each in sorted(target.iterdir())
                if each.is_file()
            ]
            for each in target.iterdir():
                self._copy(each)
            self.write(f"files/{name}/index.md", "\n".join([f"# {name}", "", *links, ""]))
            return f"files/{name}/index.md"
        return self._copy(target)

    def _copy(self, file: Path) -> str:
        # A page of Markdown would be made of a file with that ending.
        place = f"files/{file.relative_to(ROOT)}".removesuffix(".md")
        (self._folder / place).parent.mkdir(parents=True, exist_ok=True)
        if file.is_file():
            shutil.copyfile(file, self._folder / place)
        return place


# The site begins with a page of its own.
_STANDS_FOR = {"README.md": "index.md"}


def stage(folder: Path) -> None:
    """Fill an empty folder with every page of the site. Raise ValueError if one cannot be made."""
    staging = Staging(folder)
    for path in sorted((ROOT / "docs").rglob("*")):
        place = str(path.relative_to(ROOT / "docs"))
        if path.suffix == ".md":
            staging.add_page(path, place)
        elif path.is_file():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / place)
    for name, place in _BESIDE.items():
        staging.add_page(ROOT / name, place)
    staging.write("choices/index.md", "\n".join(_choices()))
    for place, text in made_pages().items():
        staging.write(f"reference/{place}", text)
    shutil.copytree(ROOT / "docsite/assets", folder / "assets")


@cache
def made_pages() -> Mapping[str, str]:
    """Return the pages and documents of the reference that are made from the code, by place."""
    documents = {
        "gateway": gateway_document(version("clauseway")),
        "pages": pages_document(version("clauseway")),
    }
    titles = {"gateway": "Endpoints of the gateway", "pages": "Endpoints of the pages"}
    return {
        **{f"commands/{name}": text for name, text in command_pages().items()},
        **{f"{name}.json": json.dumps(each, indent=1) + "\n" for name, each in documents.items()},
        **{
            f"{name}.md": endpoints_page(titles[name], each, f"{name}.json")
            for name, each in documents.items()
        },
        "answers.md": answers_page(),
        "blocks.md": blocks_page(),
        "codes.md": codes_page(),
        "configuration.md": configuration_page(),
        "library.md": library_page(),
    }


def with_pasteable_commands(text: str) -> str:
    """Return a page whose sessions are split: commands without their prompt, and what they print."""
    return _FENCED.sub(lambda block: "\n".join(_split(block[2])), text)


def _split(session: str) -> Iterator[str]:
    commands: list[str] = []
    printed: list[str] = []
    is_continued = False
    if not session.startswith(_PROMPT):  # commands alone
        yield from _block("sh", session.splitlines())
        return
    for line in session.splitlines():
        if is_continued or line.startswith(_PROMPT):
            if printed:
                yield from [*_block("sh", commands), "", *_block("text", printed), ""]
                commands, printed = [], []
            commands.append(line.removeprefix(_PROMPT))
            is_continued = line.endswith("\\")
        else:
            printed.append(line)
    yield from _block("sh", commands)
    if "\n".join(printed).strip():
        yield from ["", *_block("text", printed)]


def _block(kind: str, lines: list[str]) -> list[str]:
    return [f"```{kind}", *"\n".join(lines).strip("\n").splitlines(), "```"]


def _choices() -> Iterator[str]:
    yield from [
        "# Choices",
        "",
        "Why things are as they are: each decision with what speaks against it.",
        "",
    ]
    rows = []
    for path in sorted((ROOT / "docs/choices").glob("*.md")):
        number, _, title = (
            path.read_text("utf-8").partition("\n")[0].removeprefix("# ").partition(". ")
        )
        rows.append([number, f"[{title}]({path.name})"])
    yield from table(["number", "choice"], rows)
