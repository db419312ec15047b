"""The pictures of the pages in the documents: taken by a browser, each with the words that it shows kept inside, so
that a test sees when the pages show other words, or in another style."""

import hashlib
import json
import os
import re
import struct
import zlib
from pathlib import Path

import msgspec
from playwright.sync_api import Browser, FloatRect, expect

ROOT = Path(__file__).parents[1]
# Set by `make pictures`: the picture is taken anew instead of compared.
TAKE = "CLAUSEWAY_PICTURES"
STYLE = ROOT / "src/clauseway/web/templates/style.css"
WIDTH, MARGIN = 1120, 24


class Pictured(msgspec.Struct, frozen=True):
    """A page, its picture, and the parts of the page from its top to the end of the picture. What follows them differs
    from run to run, as the gateway's port and key do."""

    path: str
    picture: str
    parts: tuple[str, ...]


def section(labelled_by: str) -> str:
    return f"section[aria-labelledby={labelled_by}]"


PICTURES = (
    Pictured("", "docs/pages.png", ("nav", "header.masthead", "#screens", "#timeline", section("traffic"))),
    Pictured("engineer", "docs/tutorials/engineer.png", ("nav", "header.masthead", "dl.strip", section("deployments"))),
    Pictured("lawyer", "docs/tutorials/lawyer.png", ("nav", "header.masthead", "form.question", "#answered")),
    Pictured(
        "finance", "docs/tutorials/finance.png", ("nav", "header.masthead", section("months"), section("statement"))
    ),
    Pictured("auditor", "docs/tutorials/auditor.png", ("nav", "header.masthead", section("statements"))),
)
# Values that differ from run to run: points of time, durations, requests a second (a figure of its own), and digests.
VARYING = re.compile(
    r"^[\d,]+\.\d\s*$|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z|\d+ [A-Z][a-z]+ \d{4}, \d{2}:\d{2}(:\d{2})? UTC"
    r"|(≤ [\d,]+|< 1) ms|\b[0-9a-f]{12,}\b"
)
SIGNATURE, KEYWORD = b"\x89PNG\r\n\x1a\n", b"shown"


def judge_pictures(browser: Browser, address: str) -> None:
    """Hold the pictures of the documents against the pages at an address, or take them anew."""
    other = [pictured.picture for pictured in PICTURES if not looks_so(browser, address, pictured)]
    assert other == [], "the pages look otherwise: make pictures, and look at them"


def looks_so(browser: Browser, address: str, pictured: Pictured) -> bool:
    """Return whether a page shows what its picture does; take the picture first where that is asked for."""
    page = browser.new_page(viewport={"width": WIDTH, "height": 800})
    page.goto(address + pictured.path)
    if not pictured.path:
        expect(page.locator("#counts-state")).to_contain_text("Live: ")
    texts = [page.locator(part).first.inner_text() for part in pictured.parts]
    words = [VARYING.sub("…", line) for text in texts for line in text.splitlines() if line.strip()]
    shown = {"words": words, "style": hashlib.sha256(STYLE.read_bytes()).hexdigest()}
    file = ROOT / pictured.picture
    if os.environ.get(TAKE):
        end = page.locator(pictured.parts[-1]).first.bounding_box()
        assert end is not None
        clip: FloatRect = {"x": 0, "y": 0, "width": WIDTH, "height": end["y"] + end["height"] + MARGIN}
        file.write_bytes(with_words(page.screenshot(full_page=True, clip=clip), shown))
    page.close()
    return words_in(file.read_bytes()) == shown


def with_words(picture: bytes, shown: object) -> bytes:
    """A PNG with a text before its end."""
    text = b"tEXt" + KEYWORD + b"\0" + json.dumps(shown).encode("ascii")
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    end = picture.rindex(b"IEND") - 4
    return picture[:end] + chunk + picture[end:]


def words_in(picture: bytes) -> object:
    """Return the words that a picture says it shows; None where it says nothing."""
    assert picture.startswith(SIGNATURE)
    at = len(SIGNATURE)
    while at < len(picture):
        [length] = struct.unpack(">I", picture[at : at + 4])
        kind, body = picture[at + 4 : at + 8], picture[at + 8 : at + 8 + length]
        if kind == b"tEXt" and body.startswith(KEYWORD + b"\0"):
            return json.loads(body.partition(b"\0")[2])
        at += 12 + length
    return None
