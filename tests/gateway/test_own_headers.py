"""The headers of our own: the documents name each, and an answer has those that they name."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from gateway_rig import AUTHORIZED, Rig, chat_body

ROOT = Path(__file__).parents[2]
HEADER = re.compile(r"x-clauseway-[a-z-]*[a-z]")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("gateway")) as started:
        started.cloud("azure")
        started.start(started.plan())
        yield started


def documented() -> Mapping[str, set[str]]:
    """The headers, by where the page says that they are."""
    page = (ROOT / "docs" / "wire.md").read_text()
    _, _, section = page.partition("\n## Headers of our own\n")
    places: dict[str, set[str]] = {}
    for names, place in re.findall(r"^\| (`x-.*?) \| (.*?) \|", section.partition("\n## ")[0], re.MULTILINE):
        places.setdefault(place, set()).update(HEADER.findall(names))
    return places


def test_the_page_names_every_header_of_the_gateway() -> None:
    files = (ROOT / "src" / "clauseway" / "gateway").rglob("*.py")
    written = {name for file in files for name in HEADER.findall(file.read_text())}
    assert set().union(*documented().values()) == written


EVERY = "every answer"
NUMBERED = "every answer but the gateway's own (models, limits, usage, health)"
SERVED = "an answer to a request that a cloud may serve"


@pytest.mark.parametrize(
    ("path", "body", "status", "places"),
    [
        ("/v1/chat/completions", chat_body(), 200, (EVERY, NUMBERED, SERVED, "a cloud's answer")),
        ("/v1/models", None, 200, (EVERY,)),
        ("/v1/nowhere", None, 404, (EVERY, NUMBERED)),
    ],
    ids=["served", "the gateway's own", "refused"],
)
def test_an_answer_has_the_headers_that_the_page_names(
    rig: Rig, path: str, body: bytes | None, status: int, places: tuple[str, ...]
) -> None:
    asked = httpx.request("POST" if body else "GET", f"{rig.url}{path}", content=body, headers=AUTHORIZED)
    assert asked.status_code == status
    expected = set().union(*(documented()[place] for place in places))
    assert {name for name in asked.headers if HEADER.fullmatch(name)} == expected


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/v1/models", True),
        ("/v1/models/none", True),
        ("/clauseway/v1/limits", True),
        ("/v1/files/file-none", True),
        ("/v1/models", False),
        ("/healthz", False),
    ],
)
def test_no_cache_between_keeps_an_answer_of_the_gateways_own(rig: Rig, path: str, key: bool) -> None:
    answer = httpx.get(rig.url + path, headers=AUTHORIZED if key else {})
    assert answer.headers["cache-control"] == "no-store"
