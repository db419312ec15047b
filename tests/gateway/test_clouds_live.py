"""The runner behind `make live`: what it says without accounts, and that each account becomes what it should."""

import json
import tomllib

import pytest
from identity_services import Answer, Asked, serving

import live
from clauseway.app.opening.configuration import DIALECT_NAMES
from clauseway.gateway.credentials import KINDS, STATIC

USAGE = {"prompt_tokens": 21, "completion_tokens": 8, "total_tokens": 29}


def test_without_accounts_it_says_what_to_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert live.main({"HOME": "/root"}) == 0
    output = capsys.readouterr().out
    assert "skipped  openai            set OPENAI_API_KEY\n" in output
    assert output.count("skipped") == len(live.ACCOUNTS)
    assert output.endswith("No account is named, so nothing was asked of anybody.\n")


@pytest.mark.parametrize("account", live.ACCOUNTS, ids=lambda account: account.name)
def test_every_account_is_a_deployment(account: live.Account) -> None:
    environment = {name: f"value-of-{name.lower()}" for name in account.needs}
    text = live.deployment(account, environment)
    (written,) = tomllib.loads(text)["deployment"]
    assert written["dialect"] in DIALECT_NAMES
    assert written["auth"]["kind"] in (*STATIC, *KINDS)
    assert "{" not in written["url"] + written["region"] + "".join(written["models"].values())
    assert not any("{" in value for value in written.get("settings", {}).values())
    if secret := written["auth"].get("secret_env"):
        assert environment[secret] not in text


def test_an_account_is_examined_and_asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answers = {"/v1/models": {"data": [{"id": "gpt-5.5"}]}, "/v1/chat/completions": {"choices": [], "usage": USAGE}}

    def cloud(asked: Asked) -> Answer:
        return Answer(200, json.dumps(answers[asked.path]).encode())

    with serving(cloud) as service:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-live-1")
        environment = {"OPENAI_API_KEY": "sk-live-1", "OPENAI_BASE_URL": f"{service.url}/v1"}
        assert live.main(environment) == 0
        output = capsys.readouterr().out
        assert "✓  openai            request" in output
        assert "input_tokens 21, output_tokens 8" in output
        assert [asked.path for asked in service.asked] == ["/v1/models", "/v1/chat/completions"]
        answers["/v1/chat/completions"] = {"choices": []}
        assert live.main(environment) == live.FAILED
        assert "An answer with its usage was expected." in capsys.readouterr().out
