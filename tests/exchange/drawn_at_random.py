"""The agreements drawn at random that the tests of decisions use, for those of exports."""

from datetime import date
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from hypothesis import strategies as st

from clauseway import OpenAgreement


def _generator() -> ModuleType:
    path = Path(__file__).parents[1] / "decisions" / "generated_agreements.py"
    spec = spec_from_file_location("agreements_drawn_at_random", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_GENERATOR = _generator()
AGREEMENTS: st.SearchStrategy[OpenAgreement] = _GENERATOR.agreements()
FIRST_DAY: date = _GENERATOR.BEGIN
READINGS = st.fixed_dictionaries({name: st.sampled_from(options) for name, options in _GENERATOR.READINGS.items()})
