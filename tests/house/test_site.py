"""The documentation site: it builds without a warning, holds every command, and asks nobody for anything."""

import hashlib
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from docsite.building import build
from docsite.commands import commands
from docsite.staging import with_pasteable_commands
from playwright.sync_api import Browser

from locked_libraries import install_locked
from obtained import obtain

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements/site.txt"
LINK = re.compile(r"<a\b[^>]*\bhref=[\"']?([^\"'\s>#?]+)")
LITERAL = re.compile(r"<(pre|code)\b.*?</\1>", re.DOTALL)
# Addresses that a browser fetches by itself when it shows a page.
FETCHED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^\"'>]*")


def install(folder: Path) -> None:
    if why := install_locked(LOCK, folder, "--no-deps"):
        pytest.skip(f"MkDocs cannot be installed: {why}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole site, built strictly: a broken link, anchor or page that nothing leads to raises."""
    libraries = obtain(f"site-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}", install)
    folder = tmp_path_factory.mktemp("site")
    build(libraries, folder)
    return folder


def test_no_page_asks_for_anything_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 100
    assert [(page.name, match) for page in pages for match in FETCHED.findall(page.read_text("utf-8"))] == []


def test_no_link_leads_to_a_folder(site: Path) -> None:
    """From a disk a browser lists its files, and a server need not answer at all."""
    linked = [
        (str(page.relative_to(site)), link)
        for page in site.rglob("*.html")
        for link in LINK.findall(page.read_text("utf-8"))
        if ":" not in link
    ]
    assert len(linked) > 1_000
    assert [(page, link) for page, link in linked if (site / page).parent.joinpath(unquote(link)).is_dir()] == []


def test_every_link_leads_to_a_file_of_the_site_when_it_is_opened_from_a_disk(site: Path) -> None:
    """A link from the root of a server leads to the root of the disk."""
    leads_nowhere = [
        (str(page.relative_to(site)), link)
        for page in site.rglob("*.html")
        for link in LINK.findall(page.read_text("utf-8"))
        if ":" not in link and (link.startswith("/") or not (site / page).parent.joinpath(unquote(link)).is_file())
    ]
    assert leads_nowhere == []


def test_no_item_of_a_list_stands_within_a_paragraph(site: Path) -> None:
    """A block within an item is indented by four spaces here; by less it ends the list, though a forge takes it."""
    swallowed = [
        (str(page.relative_to(site)), item)
        for page in site.rglob("*.html")
        for paragraph in re.findall(r"<p>(.*?)</p>", LITERAL.sub("", page.read_text("utf-8")), re.DOTALL)
        for item in re.findall(r"\n((?:\d+\.|[-*|]) .{0,60})", paragraph)
    ]
    assert swallowed == []


def test_what_a_server_does_not_find_leads_back_from_any_address(tmp_path: Path) -> None:
    libraries = obtain(f"site-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}", install)
    build(libraries, tmp_path, "https://docs.example/clauseway/")
    page = (tmp_path / "404.html").read_text("utf-8")
    links = [link for link in LINK.findall(page) if ":" not in link]
    assert links
    assert [link for link in links if not link.startswith("/clauseway/")] == []


def test_every_command_has_its_place(site: Path) -> None:
    pages = "".join(page.read_text("utf-8") for page in site.glob("reference/commands/*.html"))
    words = [each.words.replace(" ", "-") for each in commands()]
    assert [each for each in words if f'id="clauseway-{each}"' not in pages] == []


def test_the_reference_names_settings_paths_codes_and_keys(site: Path) -> None:
    pages = {page.stem: page.read_text("utf-8") for page in site.glob("reference/*.html")}
    for page, words in {
        "configuration": ("attempt_timeout_s", "passed_headers", "quota_tokens_per_minute"),
        "gateway": ("/v1/chat/completions", "/clauseway/v1/requests/{request_id}"),
        "pages": ("/statement/{period}",),
        "codes": ("forbidden_by_agreement", "journal_full"),
        "blocks": ("prevented-by", "cap-opening"),
        "answers": ("would_change", "consumed_before"),
    }.items():
        assert [word for word in words if word not in pages[page]] == [], page


@pytest.mark.browser
def test_a_page_opened_from_a_disk_is_searched_without_a_network(site: Path, browser: Browser) -> None:
    page = browser.new_page()
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((site / "index.html").as_uri())
    page.fill("input[name=query]", "cap-opening")
    page.wait_for_selector(".md-search-result__item")
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert errors == []
    page.close()


# a session of a page | the blocks that it becomes
SESSIONS = [
    ("```text\n$ clauseway up\n```", "```sh\nclauseway up\n```"),
    (
        "```text\n$ clauseway decide \\\n  --json\nPERMITTED\n```",
        "```sh\nclauseway decide \\\n  --json\n```\n\n```text\nPERMITTED\n```",
    ),
    (
        "```console\n$ clauseway up\nready\n$ clauseway down\n```",
        "```sh\nclauseway up\n```\n\n```text\nready\n```\n\n```sh\nclauseway down\n```",
    ),
    ("```text\nclauseway up\nclauseway down\n```", "```sh\nclauseway up\nclauseway down\n```"),
    ("```text\nno command\n```", "```text\nno command\n```"),
]


@pytest.mark.parametrize(("session", "blocks"), SESSIONS)
def test_commands_are_copied_without_their_prompt(session: str, blocks: str) -> None:
    assert with_pasteable_commands(f"Before.\n\n{session}\n\nAfter.") == f"Before.\n\n{blocks}\n\nAfter."
