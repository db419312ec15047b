"""Nothing in an agreement's folder is skipped without a word.

A file that an author would take for a document and that is none is refused; any other is named by `check`.
"""

import os
from pathlib import Path

import pytest
from small_agreement import DOCUMENTS

from clauseway.app.agreements.checking import check_folder
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.values import InvalidInput


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "ours"
    folder.mkdir()
    for name, text in DOCUMENTS.items():
        (folder / name).write_text(text, "utf-8")
    return folder


def problems_of(folder: Path) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as refused:
        open_agreement(folder)
    return [(Path(problem.where).name, problem.what) for problem in refused.value.problems]


@pytest.mark.parametrize("name", ["A3.MD", "A3.Md", "A3.markdown", "A3.mdown", "A3.mkd", "A3.txt", ".A3.MD"])
def test_a_document_by_another_ending_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_text("# A3\n", "utf-8")
    assert problems_of(folder) == [(name, f"{name} would not be read")]


def test_what_is_no_document_is_named_by_check(folder: Path, tmp_path: Path) -> None:
    (folder / "signed.pdf").write_bytes(b"%PDF")
    (folder / "drafts").mkdir()
    (folder / ".DS_Store").write_bytes(b"")
    view = check_folder(folder, Home(tmp_path / "home"))
    rows = [(remark.document, remark.what) for remark in view.remarks if remark.kind == "not-read"]
    assert rows == [("drafts", "drafts is not read"), ("signed.pdf", "signed.pdf is not read")]


def test_a_pipe_is_refused_and_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "A3.md")
    assert problems_of(folder) == [("A3.md", "it is not a document")]


def test_a_device_and_a_folder_are_refused(folder: Path) -> None:
    (folder / "A3.md").symlink_to("/dev/zero")
    (folder / "A4.md").mkdir()
    assert problems_of(folder) == [("A3.md", "it is not a document"), ("A4.md", "it is not a document")]
