"""`make wheel` compiles the hot modules, and no others: compiled classes keep no annotation but a plain class."""

import importlib
import inspect
import os
import tomllib
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
HOOKS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]
# As `make compiled` runs these tests: of the wheel, and not of the sources beside it.
OF_THE_WHEEL = os.environ.get("PYTHONPATH", "").endswith("build/compiled")
COMPILED: list[str] = HOOKS["mypyc"]["include"]


@pytest.mark.parametrize("path", COMPILED)
def test_a_compiled_module_decodes_into_plain_fields_only(path: str) -> None:
    assert (ROOT / path.lstrip("/")).is_file()
    module = importlib.import_module(path.removeprefix("/src/").removesuffix(".py").replace("/", "."))
    assert str(module.__file__).endswith(".so") == OF_THE_WHEEL
    for _, record in inspect.getmembers(module, inspect.isclass):
        if issubclass(record, msgspec.Struct) and record.__module__ == module.__name__:
            unclear = {
                name: hint for name, hint in inspect.get_annotations(record).items() if not inspect.isclass(hint)
            }
            assert not unclear, f"{record.__name__}: msgspec would be told nothing of {unclear} once it is compiled"
