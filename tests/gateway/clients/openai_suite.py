"""A plugin of pytest, for OpenAI's own tests: run each once, in its strict form, and write down how each ends.

Left out are tests that ask for nothing that others do not ask for: those of an empty parameter of a path, which the
client refuses by itself, and those of the raw answer, whose request and body those of the streamed answer have too.

`CLAUSEWAY_SUITE` holds JSON: `outcomes`, the file to write to; `only`, the tests to run, empty for all; `resources`,
identifiers by the path that makes them. Tests name resources that nobody made: `resources` are made before the first
test, and again after each one that deletes what the path makes.
"""

import json
import os
import urllib.request
from collections.abc import Iterable

import pytest

SETTINGS = json.loads(os.environ["CLAUSEWAY_SUITE"])
URL, KEY = os.environ["TEST_API_BASE_URL"], "My API Key"
LEFT_OUT = ("test_path_params_", "test_raw_response_")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    only = set(SETTINGS["only"])
    items[:] = [item for item in items if _is_run(item.name) and (not only or item.nodeid in only)]


def _is_run(name: str) -> bool:
    return name.endswith("[strict]") and not name.startswith(LEFT_OUT)


def pytest_sessionstart() -> None:
    make_resources(SETTINGS["resources"])


def pytest_runtest_teardown(item: pytest.Item) -> None:
    if "delete" in item.name:
        # A module is named after what it deletes.
        make_resources(path for path in SETTINGS["resources"] if item.path.stem == f"test_{path.rpartition('/')[2]}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    if report.when == "call" or report.failed:
        error = call.excinfo.value if call.excinfo is not None else None
        outcome = {
            "test": item.nodeid,
            "outcome": report.outcome,
            "code": getattr(error, "code", None) or "",
            "wrong": f"{type(error).__name__}: {error}"[:400] if error is not None else "",
        }
        with open(SETTINGS["outcomes"], "a") as outcomes:
            outcomes.write(json.dumps(outcome) + "\n")
    return report


def make_resources(paths: Iterable[str]) -> None:
    for path in paths:
        for content_type, body in SETTINGS["resources"][path]:
            headers = {"authorization": f"Bearer {KEY}", "content-type": content_type}
            request = urllib.request.Request(URL + path, body.encode(), headers, method="POST")
            with urllib.request.urlopen(request):
                pass
