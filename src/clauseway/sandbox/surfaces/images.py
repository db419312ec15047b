"""`POST /images/generations`, `/edits` and `/variations`: blank pictures of the size asked for,
with their usage.

An image costs the tokens that OpenAI's guide lists for its size and quality; a picture handed in
counts 85.
"""

import base64
import struct
import zlib
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from clauseway.sandbox.surfaces.account import CloudAccount
from clauseway.sandbox.surfaces.generation import count_tokens
from clauseway.sandbox.surfaces.multipart import read_form
from clauseway.sandbox.surfaces.parameters import (
    choice,
    flag,
    integer,
    missing,
    objects,
    read_object,
)
from clauseway.sandbox.wire import STREAM, FormatRefusal, ModelCall, Reply, event

_IMAGE_TOKENS_IN: Final = 85
_TOKENS: Final[Mapping[tuple[str, str], int]] = {
    ("1024x1024", "low"): 272,
    ("1024x1024", "medium"): 1056,
    ("1024x1024", "high"): 4160,
    ("1024x1536", "low"): 408,
    ("1024x1536", "medium"): 1584,
    ("1024x1536", "high"): 6240,
    ("1536x1024", "low"): 400,
    ("1536x1024", "medium"): 1568,
    ("1536x1024", "high"): 6208,
}
_SIZES: Final = ("1024x1024", "1024x1536", "1536x1024", "auto")
_QUALITIES: Final = ("auto", "low", "medium", "high")
_IMAGES_MAX: Final = 10


def generate(account: CloudAccount, call: ModelCall) -> Reply:
    request = read_object(call.body)
    if not request.get("prompt"):
        raise missing("prompt")
    return _answer(account, call, request, 0, "generation")


def edit(account: CloudAccount, call: ModelCall) -> Reply:
    """Edit pictures: of a form, or of JSON that names them by address or as files."""
    if call.content_type.startswith("application/json"):
        request = read_object(call.body)
        pictures = len(objects(request, "images"))
    else:
        form = read_form(call.content_type, call.body)
        request, pictures = _typed(form.fields), len(form.files("image", "image[]"))
    if not request.get("prompt"):
        raise missing("prompt")
    return _answer(account, call, request, pictures, "edit")


def vary(account: CloudAccount, call: ModelCall) -> Reply:
    """Make variations. Only dall-e-2 makes them, and reports no usage."""
    form = read_form(call.content_type, call.body)
    request = _typed(form.fields)
    if not form.files("image"):
        raise missing("image")
    # The form may leave the model out, because there is only one.
    if call.model or request.get("model", "dall-e-2") != "dall-e-2":
        raise FormatRefusal(
            400, "The model must be 'dall-e-2'.", param="model", code="invalid_value"
        )
    account.snapshot("dall-e-2", "image")
    picture = {"b64_json": _picture("1024x1024")}
    if request.get("response_format") != "b64_json":
        picture = {"url": f"https://images.invalid/{call.serial}.png"}
    return Reply(
        value={"created": int(call.now_s), "data": [picture] * (integer(request, "n", 1) or 1)}
    )


def _typed(fields: Mapping[str, str]) -> dict[str, Any]:
    """Return a form's fields with the types that JSON would have given them."""
    words = {"true": True, "false": False}
    return {
        name: words.get(text, int(text) if text.isdigit() else text)
        for name, text in fields.items()
    }


def _answer(
    account: CloudAccount,
    call: ModelCall,
    request: dict[str, Any],
    pictures_in: int,
    operation: str,
) -> Reply:
    account.snapshot(call.model or request.get("model") or "gpt-image-1", "image")
    size = choice(request, "size", _SIZES).replace("auto", "1024x1024")
    quality = choice(request, "quality", _QUALITIES).replace("auto", "medium")
    images = integer(request, "n", 1) or 1
    if images > _IMAGES_MAX:
        raise FormatRefusal(
            400,
            f"Invalid 'n': integer above maximum value. Expected a value <= {_IMAGES_MAX}, but "
            f"got {images} instead.",
            param="n",
            code="integer_above_max_value",
        )
    words = count_tokens(str(request["prompt"]))
    tokens_in, tokens_out = words + pictures_in * _IMAGE_TOKENS_IN, images * _TOKENS[size, quality]
    usage = {
        "input_tokens": tokens_in,
        "input_tokens_details": {
            "image_tokens": pictures_in * _IMAGE_TOKENS_IN,
            "text_tokens": words,
        },
        "output_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
    }
    answer = {"background": "opaque", "output_format": "png", "quality": quality, "size": size}
    tokens = (tokens_in, tokens_out)
    if flag(request, "stream"):
        kind = f"image_{operation}.completed"
        last = {
            "type": kind,
            "b64_json": _picture(size),
            "created_at": int(call.now_s),
            **answer,
            "usage": usage,
        }
        return Reply(content_type=STREAM, events=(event(last, kind),), tokens=tokens)
    data = [{"b64_json": _picture(size)}] * images
    return Reply(
        value={"created": int(call.now_s), **answer, "data": data, "usage": usage}, tokens=tokens
    )


@cache
def _picture(size: str) -> str:
    """Return a blank PNG of that size, one bit a pixel, in base64."""
    width, height = map(int, size.split("x"))
    rows = zlib.compress((b"\x00" + b"\xff" * (width // 8)) * height, 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()
