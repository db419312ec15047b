"""A configuration that changes while requests run: reloaded, or reported and without effect."""

import re
import shutil
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import httpx
import msgspec
import pytest

import clauseway.agreement
from awaiting import eventually
from clauseway.app.books.basis import basis_of, change_prices
from clauseway.app.customers.keys import create_key, revoke_key
from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.app.opening.locks import locked
from clauseway.app.opening.several import open_agreements
from clauseway.app.running import serving as serving_module
from clauseway.app.running.serving import ServeOptions, Signals, keep, serving
from clauseway.files import write_whole
from clauseway.values import InvalidInput

PATIENCE_S = 60.0
DEPLOYMENT = """
[[deployment]]
name = "{name}"
dialect = "openai"
url = "http://127.0.0.1:1/v1"
cloud = "azure"
seller = "openai"
region = "global"
auth = {{kind = "bearer", secret_file = "key"}}
models = {{"{product}" = "there"}}
"""
BOOK = (
    "product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source\n"
    "gpt-5.5,azure,openai,,input_tokens,2026-04-27,,2026-04-27,{0},a letter\n"
    "gpt-5.5,azure,openai,,cached_input_tokens,2026-04-27,,2026-04-27,{0},a letter\n"
    "gpt-5.5,azure,openai,,output_tokens,2026-04-27,,2026-04-27,{0},a letter\n"
)
# Nobody but AWS serves what Azure served.
AMENDMENT = """---
id: A6
title: The API moves
announced: 2026-05-01
effective: 2026-05-01
sources: [P]
---

# A6 The API moves

## 6.1 Stateless APIs on AWS only

OpenAI's stateless API products are served on AWS alone.

```yaml term
id: A6.api
kind: exclusivity
actions: [serve, sell]
products: [api.stateless]
only: {clouds: [aws]}
source: [P]
```
"""


def test_a_changed_file_is_taken_over_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    home = Home(tmp_path).make()
    (tmp_path / "key").write_text("sk-cloud")
    home.configuration.write_text("[gateway]\nport = 0\n" + DEPLOYMENT.format(name="one", product="gpt-5.5"))
    opened = open_agreements([])
    options = ServeOptions(home=home, opened=opened, configuration=home.configuration)
    secret = create_key(home, opened.catalog, organisation="acme", project="p", seller="openai", segment="any").secret
    signals, wrong = Signals(), threading.Event()
    messages: list[str] = []

    def tell(text: str) -> None:
        messages.append(text)
        wrong.set()

    with serving(options) as served:
        keeping = threading.Thread(target=keep, args=(options, served, signals, tell))
        keeping.start()
        try:
            assert "gpt-5.5" in _models(served.gateway_url, secret)
            before = home.plan.read_bytes()
            with pytest.raises(InvalidInput, match="served already"), serving(options):
                pytest.fail("one at a time serves a home")
            assert home.lease_socket.is_socket()
            write_whole(home.configuration, b"[gateway]\nprot = 0\n")
            assert wrong.wait(PATIENCE_S)
            assert "Did you mean 'port'?" in messages[0]
            assert "no deployment" in messages[0]
            assert home.plan.read_bytes() == before
            assert "gpt-5.5" in _models(served.gateway_url, secret)
            other = "[gateway]\nport = 0\n[log]\naccess = 1.0\n" + DEPLOYMENT.format(name="two", product="gpt-5.4")
            write_whole(home.configuration, other.encode())
            eventually(lambda: "gpt-5.4" in _models(served.gateway_url, secret))
            assert "gpt-5.5" not in _models(served.gateway_url, secret)
            assert len(messages) == 1
            # Files opened at the start stay open, and that is told once.
            kept = "agreement = ['anthropic-clouds']\n" + other.replace("port = 0", "port = 1\nhost = '::1'")
            write_whole(home.configuration, kept.encode())
            eventually(lambda: len(messages) == 2)
            for text in (kept.replace("1.0", "0.5"), other):
                before = home.plan.read_bytes()
                write_whole(home.configuration, text.encode())
                eventually(partial(_differs, home.plan, before))
            write_whole(home.configuration, b"[gateway]\nprot = 0\n")
            eventually(lambda: len(messages) == 3)
            assert "Did you mean 'port'?" in messages[2]
            assert messages[1].startswith("agreement, gateway.host and gateway.port need a restart: ")
        finally:
            signals.stop.set()
            keeping.join(PATIENCE_S)
    log = (home.logs / "gateway.log").read_text()
    assert '"event":"plan reloaded"' in log
    assert secret not in log
    assert "sk-cloud" not in log


def _differs(path: Path, before: bytes) -> bool:
    return path.read_bytes() != before


def _lawyers_page(url: str) -> str:
    """The page without the number that each answer draws for its styles: any letters may stand in it."""
    return re.sub(r'nonce="[^"]*"', "", httpx.get(f"{url}lawyer", timeout=PATIENCE_S).text)


class _Starting:
    """Gateways during whose start somebody accepts a price book."""

    accept: Callable[[], object]

    def __init__(self, *_: object) -> None:
        self.accept = _Starting.accept

    def listen(self, *_: object) -> int:
        return 0

    def start(self) -> None:
        self.accept()

    def stop(self) -> None:
        pass


def test_a_book_that_is_accepted_while_the_processes_start_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "home").make()
    (home.root / "key").write_text("sk-cloud")
    home.configuration.write_text(DEPLOYMENT.format(name="one", product="gpt-5.5"))
    first, other = tmp_path / "first.csv", tmp_path / "other.csv"
    for book, price in ((first, 1), (other, 2)):
        book.write_text(BOOK.format(price))

    def accept() -> None:
        change_prices(home, "the contract says so", file=other, of_this_version=False, alone=False)

    monkeypatch.setattr(_Starting, "accept", staticmethod(accept), raising=False)
    monkeypatch.setattr(serving_module, "Gateways", _Starting)
    monkeypatch.setattr(serving_module, "_served", lambda *_: SimpleNamespace(notes=(), stop=lambda: None))
    options = ServeOptions(home=home, opened=open_agreements([]), configuration=home.configuration)
    with pytest.raises(InvalidInput, match="another price book than this home holds"), serving(options, first):
        pytest.fail("the gateway would sell by another book than the home holds")
    assert basis_of(home).of("prices")[0].label.startswith("other.csv")


def test_a_home_that_begins_beside_its_configuration_is_told(tmp_path: Path) -> None:
    """The disk of an older home may not be mounted: in its place is an empty folder."""
    home = Home(tmp_path / "mount")
    beside = ServeOptions(home=home, opened=open_agreements([]), configuration=tmp_path / "clauseway.toml")
    [note] = serving_module._begun(beside)
    assert note.startswith(f"A new home begins at {home.root}: without keys, usage and books.")
    assert serving_module._begun(msgspec.structs.replace(beside, configuration=home.configuration)) == ()
    with open_control(home.make()):
        assert serving_module._begun(beside) == ()


def test_an_amendment_is_taken_over_by_gateways_and_pages(tmp_path: Path) -> None:
    """A sixth amendment comes into the agreement's folder, unfinished at first; then it takes Azure away."""
    home, ours = Home(tmp_path / "home").make(), tmp_path / "ours"
    shutil.copytree(Path(clauseway.agreement.__file__).parent / "builtin/openai-microsoft", ours)
    (home.root / "key").write_text("sk-cloud")
    home.configuration.write_text("[gateway]\nport = 0\n" + DEPLOYMENT.format(name="one", product="gpt-5.5"))
    opened, signals = open_agreements([ours]), Signals()
    options = ServeOptions(home=home, opened=opened, agreements=(ours,), configuration=home.configuration, pages_port=0)
    secret = create_key(home, opened.catalog, organisation="acme", project="p", seller="openai", segment="any").secret
    messages: list[str] = []
    with serving(options) as served:
        keeping = threading.Thread(target=keep, args=(options, served, signals, messages.append))
        keeping.start()
        try:
            assert not _is_without_deployment(served.gateway_url, secret)
            assert "A6" not in _lawyers_page(served.pages_url)
            write_whole(ours / "A6.md", AMENDMENT.partition("only:")[0].encode())
            eventually(lambda: bool(messages))
            assert "A6.md" in messages[0]
            assert not _is_without_deployment(served.gateway_url, secret)
            assert "A6" not in _lawyers_page(served.pages_url)
            write_whole(ours / "A6.md", AMENDMENT.encode())
            eventually(lambda: _is_without_deployment(served.gateway_url, secret))
            message = _asked(served.gateway_url, secret).json()["error"]["message"]
            assert "On AWS" in message
            assert "A6.api" in message
            assert "A6" in _lawyers_page(served.pages_url)
            assert len(messages) == 1
        finally:
            signals.stop.set()
            keeping.join(PATIENCE_S)


def test_a_change_is_taken_over_while_sealing_takes_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else seals, for as long as the key is made and accepted."""
    monkeypatch.setattr(serving_module, "_SEAL_EVERY_S", 0.0)
    home = Home(tmp_path).make()
    (tmp_path / "key").write_text("sk-cloud")
    home.configuration.write_text("[gateway]\nport = 0\n" + DEPLOYMENT.format(name="one", product="gpt-5.5"))
    opened, signals = open_agreements([]), Signals()
    options = ServeOptions(home=home, opened=opened, configuration=home.configuration)
    with serving(options) as served:
        keeping = threading.Thread(target=keep, args=(options, served, signals))
        with locked(home, "seal"):
            keeping.start()
            secret = create_key(
                home, opened.catalog, organisation="acme", project="p", seller="openai", segment="any"
            ).secret
            try:
                eventually(lambda: "gpt-5.5" in _models(served.gateway_url, secret))
            finally:
                signals.stop.set()
        keeping.join(PATIENCE_S)


def test_a_change_that_the_disk_did_not_take_is_loaded_once_it_does(tmp_path: Path) -> None:
    """Something stands where the plan is to be written, while a key is revoked."""
    home = Home(tmp_path).make()
    (tmp_path / "key").write_text("sk-cloud")
    home.configuration.write_text("[gateway]\nport = 0\n" + DEPLOYMENT.format(name="one", product="gpt-5.5"))
    opened, signals = open_agreements([]), Signals()
    options = ServeOptions(home=home, opened=opened, configuration=home.configuration)
    created = create_key(home, opened.catalog, organisation="acme", project="p", seller="openai", segment="any")
    messages: list[str] = []
    with serving(options) as served:
        keeping = threading.Thread(target=keep, args=(options, served, signals, messages.append))
        keeping.start()
        try:
            assert "gpt-5.5" in _models(served.gateway_url, created.secret)
            plan = home.plan.rename(tmp_path / "aside")
            (home.plan / "in-the-way").mkdir(parents=True)
            revoke_key(home, created.key_id)
            eventually(lambda: any("not loaded yet" in text for text in messages))
            shutil.rmtree(home.plan)
            plan.rename(home.plan)
            eventually(lambda: _models(served.gateway_url, created.secret) == [])
            eventually(lambda: "The change is loaded." in messages)
            assert sum("not loaded yet" in text for text in messages) == 1
        finally:
            signals.stop.set()
            keeping.join(PATIENCE_S)


def _asked(url: str, secret: str) -> httpx.Response:
    body = {"model": "gpt-5.5", "messages": [{"role": "user", "content": "Who serves me?"}]}
    headers = {"authorization": f"Bearer {secret}"}
    return httpx.post(f"{url}/chat/completions", json=body, headers=headers, timeout=PATIENCE_S)


def _is_without_deployment(url: str, secret: str) -> bool:
    """The agreement leaves a cloud on which nothing is deployed here."""
    answer = _asked(url, secret)
    return answer.status_code == 404 and answer.json()["error"]["code"] == "no_deployment"


def _models(url: str, secret: str) -> list[str]:
    answer = httpx.get(f"{url}/models", headers={"authorization": f"Bearer {secret}"}, timeout=PATIENCE_S)
    return [model["id"] for model in answer.json().get("data", [])]
