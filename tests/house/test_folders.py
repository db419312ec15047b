"""Folders: one is taken in at a glance, or it is a drawer (choice 91)."""

from pathlib import Path

import pytest

import clauseway

ROOMS = Path(clauseway.__file__).parent
MODULES_MAX = 22


@pytest.mark.parametrize("room", ["agreement", "app", "cli", "decisions", "exchange", "gateway", "sandbox", "storage"])
def test_no_folder_of_a_room_with_floors_is_a_drawer(room: str) -> None:
    folders = {folder: len(list(folder.glob("*.py"))) - 1 for folder in (ROOMS / room).rglob("*") if folder.is_dir()}
    assert folders, "the room has floors"
    assert {str(folder): modules for folder, modules in folders.items() if modules > MODULES_MAX} == {}
