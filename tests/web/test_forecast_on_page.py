"""The forecast on the finance screen: a picture that touches nothing of the page, and its words as text."""

import base64
import re

import msgspec
from sample_pages import SamplePages
from starlette.testclient import TestClient

from clauseway.web.contexts import ForecastContext
from clauseway.web.finance import FinanceContext
from clauseway.web.pages import create_app

SVG = '<svg xmlns="http://www.w3.org/2000/svg"><style>h1 { display: none }</style></svg>'


class Ahead(SamplePages):
    """The sample with a forecast."""

    async def finance(self, growth: str, cap: str) -> FinanceContext:
        forecast = ForecastContext(svg=SVG, sentences=('2026: 160 <b>"due"</b>.',), note="Assumed: cap = 1 (reported).")
        return msgspec.structs.replace(await super().finance(growth, cap), forecast=forecast)


def test_the_picture_is_an_image_and_its_words_are_text() -> None:
    client = TestClient(create_app(Ahead(), hosts=["*"]))
    text = client.get("/finance").text
    [source] = re.findall(r'<img class="forecast" src="data:image/svg\+xml;base64,([^"]*)"', text)
    assert base64.b64decode(source).decode() == SVG
    assert "display: none }" not in text.replace("\n", " ").split("</style>", 1)[1]
    assert text.count("2026: 160 &lt;b&gt;&#34;due&#34;&lt;/b&gt;.") == 2
    assert "Assumed: cap = 1 (reported)." in text


def test_without_one_the_page_says_so_and_shows_no_picture() -> None:
    text = TestClient(create_app(SamplePages(), hosts=["*"])).get("/finance").text
    assert 'class="forecast"' not in text
    assert "What is due ahead" in text
