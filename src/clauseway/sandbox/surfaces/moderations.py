"""`POST /moderations`: everything is harmless except a text with the word "violence"."""

from typing import Any, Final

from clauseway.sandbox.surfaces.account import CloudAccount
from clauseway.sandbox.surfaces.parameters import expect, model_of, read_object, required
from clauseway.sandbox.wire import ModelCall, Reply

_CATEGORIES: Final = (
    "harassment",
    "harassment/threatening",
    "sexual",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm/intent",
    "self-harm/instructions",
    "self-harm",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
_PICTURES: Final = frozenset(
    {
        "sexual",
        "violence",
        "violence/graphic",
        "self-harm",
        "self-harm/intent",
        "self-harm/instructions",
    }
)


def create(account: CloudAccount, call: ModelCall) -> Reply:
    request = read_object(call.body)
    given = required(request, "input")
    model = model_of({"model": "omni-moderation-latest", **request}, call.model)
    snapshot = account.snapshot(model, "moderation")
    if isinstance(given, str):
        given = [given]
    expect(given, list, "input", "one of a string, array of strings, or array of objects")
    parts = [item for item in given if isinstance(item, dict)]
    results = (
        [_result(parts)] if parts else [_result([{"type": "text", "text": text}]) for text in given]
    )
    return Reply(value={"id": f"modr-{call.serial}", "model": snapshot, "results": results})


def _result(parts: list[dict[str, Any]]) -> dict[str, object]:
    flagged = any("violence" in str(part.get("text", "")) for part in parts)
    kinds = sorted(
        {"image" if part.get("type") == "image_url" else "text" for part in parts}, reverse=True
    )
    categories = {name: flagged and name == "violence" for name in _CATEGORIES}
    return {
        "flagged": flagged,
        "categories": categories,
        "category_scores": {name: 0.98 if hit else 0.0001 for name, hit in categories.items()},
        "category_applied_input_types": {
            name: [kind for kind in kinds if kind == "text" or name in _PICTURES]
            for name in _CATEGORIES
        },
    }
