"""`POST /embeddings`: vectors of unit length drawn from the text, as floats or as base64 of
32-bit floats."""

import array
import base64
import hashlib
import math
from typing import Any, Final

from clauseway.sandbox.surfaces.account import CloudAccount
from clauseway.sandbox.surfaces.generation import count_tokens
from clauseway.sandbox.surfaces.parameters import (
    choice,
    integer,
    model_of,
    read_object,
    refuse_type,
    required,
)
from clauseway.sandbox.wire import FormatRefusal, ModelCall, Reply

_DIMENSIONS: Final = {"text-embedding-3-large": 3072}
_DIMENSIONS_OTHERWISE: Final = 1536
# OpenAI's limit for one request.
_INPUTS_MAX: Final = 2048


def create(account: CloudAccount, call: ModelCall) -> Reply:
    request = read_object(call.body)
    model = model_of(request, call.model)
    inputs = _inputs(required(request, "input"))
    encoding = choice(request, "encoding_format", ("float", "base64"))
    wanted = integer(request, "dimensions", 1)
    snapshot = account.snapshot(model, "embedding")
    size = _DIMENSIONS.get(snapshot, _DIMENSIONS_OTHERWISE)
    if wanted is not None and wanted > size:
        raise FormatRefusal(
            400, f"Invalid value for 'dimensions' = {wanted}. Must be less than or equal to {size}."
        )
    vectors = [_vector(text, wanted or size) for text, _ in inputs]
    data = [
        {"object": "embedding", "index": index, "embedding": _written(vector, encoding)}
        for index, vector in enumerate(vectors)
    ]
    tokens = sum(count for _, count in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Reply(
        value={"object": "list", "data": data, "model": snapshot, "usage": usage},
        tokens=(tokens, 0),
    )


def _inputs(given: Any) -> list[tuple[str, int]]:
    """Return each input with its tokens: a text's words, or the numbers of a list of tokens."""
    # A list of numbers is one text in tokens, not many texts.
    if isinstance(given, str) or (
        isinstance(given, list) and given and all(type(item) is int for item in given)
    ):
        given = [given]
    if not isinstance(given, list) or not all(isinstance(item, str | list) for item in given):
        refuse_type(given, "input", "one of a string, array of strings, or array of token arrays")
    if not given or len(given) > _INPUTS_MAX or any(not item for item in given):
        raise FormatRefusal(
            400,
            "'$.input' is invalid. Please check the API reference: "
            "https://platform.openai.com/docs.",
        )
    return [
        (item, count_tokens(item)) if isinstance(item, str) else (repr(item), len(item))
        for item in given
    ]


def _vector(text: str, dimensions: int) -> "array.array[float]":
    drawn = array.array(
        "h", hashlib.shake_128(text.encode("utf-8", "surrogatepass")).digest(2 * dimensions)
    )
    length = math.sqrt(sum(number * number for number in drawn)) or 1.0
    return array.array("f", (number / length for number in drawn))


def _written(vector: "array.array[float]", encoding: str) -> object:
    if encoding == "base64":
        return base64.b64encode(vector.tobytes()).decode()
    return [round(number, 9) for number in vector]
