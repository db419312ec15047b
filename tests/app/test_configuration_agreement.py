"""A configuration says which agreements are in force, and by which other names clients may ask for models."""

from pathlib import Path

import pytest

from in_process import answer, run

NAMES = """---
id: names
title: Names that no agreement states anything about
---

```yaml definitions
sources: {ours: our own list}
parties: [mistral]
clouds: {mistral-own: mistral}
segments: [any]
classes: {models: {actions: [serve, sell]}}
products: {mistral-large-latest: {class: models}}
rules: {unstated: Nothing., owner: The owner may., grant: Others need one., share: Where due., licensee: It ends.}
```
"""
FIRST = (
    "---\nid: A1\ntitle: The first\nannounced: 2026-11-01\neffective: 2026-11-01\n---\n\n## 1.1 Nothing\n\nNothing.\n"
)
FILE = """\
unstated = "serve"
agreement = ["openai-microsoft", "names"]

[names]
chat = "gpt-5.5"

[[deployment]]
name = "direct"
dialect = "openai"
url = "https://api.openai.com/v1"
cloud = "azure"
seller = "openai"
region = "global"
auth = {kind = "bearer", secret_env = "KEY"}
models = {"gpt-5.5" = "gpt-5.5"}

[[deployment]]
name = "mistral"
dialect = "openai"
url = "https://api.mistral.ai/v1"
cloud = "mistral-own"
seller = "mistral"
region = "global"
auth = {kind = "bearer", secret_env = "KEY"}
models = {"mistral-large-latest" = "mistral-large-latest"}
"""
BOOK = "product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source\n" + "".join(
    f"mistral-large-latest,,,,{unit},2024-01-01,,2024-01-01,2.00,test\n" for unit in ("input_tokens", "output_tokens")
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with that configuration, and the folder of names beside it."""
    monkeypatch.setenv("KEY", "sk-x")
    home = tmp_path / "home"
    (home / "names").mkdir(parents=True)
    (home / "names" / "agreement.md").write_text(NAMES)
    (home / "names" / "A1.md").write_text(FIRST)
    (home / "clauseway.toml").write_text(FILE)
    (tmp_path / "book.csv").write_text(BOOK)
    assert run("basis", "prices", str(tmp_path / "book.csv"), "--why", "the list", home=home).returncode == 0
    return home


def test_the_agreements_of_the_file_hold_where_no_flag_names_any(home: Path) -> None:
    checked = answer("config", "check", home=home)
    assert checked["products"] == ["gpt-5.5", "mistral-large-latest"]
    # A flag goes before the file: the built-in agreement alone does not know these names.
    problems = answer("config", "check", "--agreement", "openai-microsoft", home=home, code=3)["error"]["problems"]
    assert [problem["what"] for problem in problems] == [
        "mistral: unknown cloud 'mistral-own'",
        "mistral: unknown seller 'mistral'",
        "mistral: unknown product 'mistral-large-latest'",
    ]
    shown = {setting["key"]: setting["value"] for setting in answer("config", "show", home=home)}
    assert (shown["agreement"], shown["names.chat"]) == (["openai-microsoft", "names"], "gpt-5.5")
    made = answer("key", "create", "--organisation", "acme", "--seller", "mistral", home=home)
    assert made["seller"] == "mistral"


# what is written · the problem
WRONG = [
    ('agreement = ["nowhere"]\n', "no such folder"),
    ('agreement = ["clauseway.toml"]\n', "not a folder"),
    ("agreement = 3\n", "agreement = 3 cannot be"),
    ('agreement = [""]\n', "agreement names ''"),
    ('agreement = ["openai-microsoft", " "]\n', "agreement names ' '"),
    ('agreement = ["names", "names"]\n', "agreement names 'names' twice"),
    ('[names]\nchat = "gpt-5.4"\n', "names.chat: 'gpt-5.4' is not deployed"),
    ('[names]\n"gpt-5.5" = "mistral-large-latest"\n', "'gpt-5.5' is a model's own name"),
    ('[names]\n"gpt-5.4-2026-03-05" = "gpt-5.5"\n', "'gpt-5.4-2026-03-05' is a model's own name"),
]


@pytest.mark.parametrize(("written", "problem"), WRONG)
def test_names_and_agreements_that_mean_nothing(home: Path, written: str, problem: str) -> None:
    deployments = FILE[FILE.index("[[deployment]]") :]
    head = 'unstated = "serve"\n'
    if written.startswith("["):
        head += 'agreement = ["openai-microsoft", "names"]\n'
    (home / "clauseway.toml").write_text(head + written + deployments)
    problems = answer("config", "check", home=home, code=3)["error"]["problems"]
    assert problem in [problem["what"] for problem in problems]
