"""The picture of the pages in the documents: taken by a browser, with the words that it shows kept inside, so that a
test sees when the pages show other words, or in another style."""

import hashlib
import json
import os
import re
import struct
import zlib
from pathlib import Path

from playwright.sync_api import Browser, FloatRect, expect

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs/pages.png"
# Set by `make pictures`: the picture is taken anew instead of compared.
TAKE = "CLAUSEWAY_PICTURES"
STYLE = ROOT / "src/clauseway/web/templates/style.css"
WIDTH, MARGIN = 1120, 24
# The first page up to its counts; what follows differs from run to run, as the gateway's port and key do.
PARTS = ("nav", "header.masthead", "#screens", "#timeline", "section[aria-labelledby=traffic]")
# Points of time, as the pages show them.
INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
SIGNATURE, KEYWORD = b"\x89PNG\r\n\x1a\n", b"shown"


def judge_picture(browser: Browser, address: str) -> None:
    """Hold the picture of the documents against the first page at an address, or take it anew."""
    page = browser.new_page(viewport={"width": WIDTH, "height": 800})
    page.goto(address)
    expect(page.locator("#counts-state")).to_have_text("Live.")
    words = [line for part in PARTS for line in page.locator(part).first.inner_text().splitlines() if line.strip()]
    style = hashlib.sha256(STYLE.read_bytes()).hexdigest()
    shown = {"words": [INSTANT.sub("…", line) for line in words], "style": style}
    if os.environ.get(TAKE):
        end = page.locator(PARTS[-1]).bounding_box()
        assert end is not None
        clip: FloatRect = {"x": 0, "y": 0, "width": WIDTH, "height": end["y"] + end["height"] + MARGIN}
        picture = page.screenshot(full_page=True, clip=clip)
        PAGES.write_bytes(with_words(picture, shown))
    page.close()
    assert words_in(PAGES.read_bytes()) == shown, "the pages look otherwise: make pictures, and look at docs/pages.png"


def with_words(picture: bytes, shown: object) -> bytes:
    """A PNG with a text before its end."""
    text = b"tEXt" + KEYWORD + b"\0" + json.dumps(shown).encode("ascii")
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    end = picture.rindex(b"IEND") - 4
    return picture[:end] + chunk + picture[end:]


def words_in(picture: bytes) -> object:
    """What a picture says that it shows; None where it says nothing."""
    assert picture.startswith(SIGNATURE)
    at = len(SIGNATURE)
    while at < len(picture):
        [length] = struct.unpack(">I", picture[at : at + 4])
        kind, body = picture[at + 4 : at + 8], picture[at + 8 : at + 8 + length]
        if kind == b"tEXt" and body.startswith(KEYWORD + b"\0"):
            return json.loads(body.partition(b"\0")[2])
        at += 12 + length
    return None
