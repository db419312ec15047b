"""The night as a person sees it: the page while traffic runs, the statement once settled, the snippets as pasted."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect

from needed import NEEDS_CURL
from pictures import judge_pictures

CLAUSEWAY = Path(sys.executable).parent / "clauseway"


class Night(msgspec.Struct):
    """A running `clauseway up`, read line by line."""

    up: subprocess.Popen[str]
    home: Path

    def read_until(self, text: str) -> list[str]:
        """The lines up to and with the first that holds `text`."""
        assert self.up.stdout is not None
        lines = []
        for line in self.up.stdout:
            lines.append(line)
            if text in line:
                return lines
        raise AssertionError(f"{text!r} never came; last lines: {lines[-5:]}; {self.errors()}")

    def errors(self) -> str:
        assert self.up.stderr is not None
        return self.up.stderr.read()


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    command = [str(CLAUSEWAY), "up", "--home", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up:
        try:
            yield Night(up, tmp_path)
        finally:
            up.kill()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


@NEEDS_CURL
@pytest.mark.browser
def test_the_night_on_screen_and_its_snippets(night: Night, browser: Browser, page: Page) -> None:
    address = re.search(r"pages (http://\S+)", night.read_until("pages http")[-1])
    assert address is not None
    # A busy machine's browser may take longer to open a page than the night lasts: whoever plays it waits meanwhile.
    night.up.send_signal(signal.SIGSTOP)
    page.goto(address[1])
    expect(page.locator("h1")).to_have_text("The OpenAI–Microsoft partnership")
    expect(page.locator("#screens")).to_contain_text("nothing is settled yet")
    night.up.send_signal(signal.SIGCONT)

    printed = "".join(night.read_until("Ctrl-C stops everything"))
    # The open page renews itself: the amendment has taken effect, the counts are the whole week's, April is settled.
    expect(page.locator("#screens")).to_contain_text("OpenAI serves gpt-5.5 on AWS: permitted")
    expect(page.locator(".counts tr", has_text="azure")).to_contain_text("3,390")
    expect(page.locator(".counts tr", has_text="aws")).to_contain_text("1,275")
    expect(page.locator(".counts tr", has_text="aws")).to_contain_text("177")
    expect(page.locator("#screens")).to_contain_text("May 2026 is settled")
    judge_pictures(browser, address[1])

    curl = re.search(r"^curl -i .*?^KEY$", printed, re.DOTALL | re.MULTILINE)
    assert curl is not None
    pasted = subprocess.run(["bash", "-c", curl[0]], capture_output=True, text=True, timeout=60, check=True)
    assert "x-clauseway-cloud: aws" in pasted.stdout
    assert '"chat.completion"' in pasted.stdout

    python = re.search(r"^from openai import OpenAI$.*?^print\(.*?\)$", printed, re.DOTALL | re.MULTILINE)
    assert python is not None
    done = subprocess.run([sys.executable, "-c", python[0]], capture_output=True, text=True, timeout=60, check=True)
    assert len(done.stdout.split()) > 3
    expect(page.locator(".counts tr", has_text="azure")).to_contain_text("3,391")

    night.up.send_signal(signal.SIGINT)
    assert night.up.wait(60) == 0, night.errors()
