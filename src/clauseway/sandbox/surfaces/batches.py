"""`/batches`: a file of requests, answered into a file of answers.

A batch is validated at the first poll, and at the second it is complete: every line has been
answered by the same account, its answer or its refusal is in the output file or the error file, and
the usage of all is summed.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any, Final

import msgspec

from clauseway.sandbox.surfaces.account import CloudAccount, KeptBatch, UnknownModel, keep
from clauseway.sandbox.surfaces.files import find, store
from clauseway.sandbox.surfaces.parameters import (
    choice,
    expect,
    list_page,
    missing,
    read_object,
    required,
)
from clauseway.sandbox.wire import FormatRefusal, ModelCall, Reply

# The model server says which endpoints a batch may use.
BatchAnswerer = Callable[[CloudAccount, ModelCall], Reply]

_FINAL: Final = frozenset({"completed", "failed", "cancelled", "expired"})
_TWENTY_FOUR_HOURS_S: Final = 86_400
# Times of a batch that it may never reach: null until it does.
_MOMENTS: Final = (
    "in_progress_at",
    "finalizing_at",
    "completed_at",
    "failed_at",
    "expired_at",
    "cancelling_at",
    "cancelled_at",
)


def create(account: CloudAccount, call: ModelCall, endpoints: tuple[str, ...]) -> Reply:
    """`POST /batches`."""
    request = read_object(call.body)
    file_id = str(required(request, "input_file_id"))
    endpoint = choice({"endpoint": required(request, "endpoint")}, "endpoint", endpoints)
    window = choice(
        {"completion_window": required(request, "completion_window")}, "completion_window", ("24h",)
    )
    if find(account, file_id).body["purpose"] != "batch":
        raise FormatRefusal(400, "Expected file to have purpose: 'batch'.", param="input_file_id")
    now_s = int(call.now_s)
    body: dict[str, Any] = {
        "id": f"batch_{call.serial}",
        "object": "batch",
        "endpoint": endpoint,
        "errors": None,
        "input_file_id": file_id,
        "completion_window": window,
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": now_s,
        "expires_at": now_s + _TWENTY_FOUR_HOURS_S,
        **dict.fromkeys(_MOMENTS),
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": request.get("metadata"),
    }
    keep(account.batches, body["id"], KeptBatch(body, call.serial))
    return Reply(value=body)


def retrieve(account: CloudAccount, call: ModelCall, batch_id: str, answer: BatchAnswerer) -> Reply:
    """`GET /batches/{id}`: one poll."""
    batch = _find(account, batch_id)
    now_s = int(call.now_s)
    if batch.body["status"] == "cancelling":
        batch.body = {**batch.body, "status": "cancelled", "cancelled_at": now_s}
    elif batch.body["status"] not in _FINAL:
        batch.polls += 1
        if batch.polls > 1:
            batch.body = _run(account, batch, call, answer)
            usage = batch.body["usage"]
            return Reply(value=batch.body, tokens=(usage["input_tokens"], usage["output_tokens"]))
        batch.body = _validated(account, batch, now_s)
    return Reply(value=batch.body)


def list_all(account: CloudAccount, call: ModelCall) -> Reply:
    """`GET /batches`, the newest first."""
    bodies = [batch.body for batch in account.batches.values()][::-1]
    return list_page(bodies, call.query)


def cancel(account: CloudAccount, call: ModelCall, batch_id: str) -> Reply:
    """`POST /batches/{id}/cancel`."""
    batch = _find(account, batch_id)
    if batch.body["status"] in _FINAL:
        raise FormatRefusal(409, f"Cannot cancel a batch with status '{batch.body['status']}'.")
    batch.body = {**batch.body, "status": "cancelling", "cancelling_at": int(call.now_s)}
    return Reply(value=batch.body)


def _find(account: CloudAccount, batch_id: str) -> KeptBatch:
    if batch_id not in account.batches:
        raise FormatRefusal(404, f"No batch found with id '{batch_id}'.")
    return account.batches[batch_id]


def _validated(account: CloudAccount, batch: KeptBatch, now_s: int) -> dict[str, Any]:
    lines = _lines(account, batch)
    errors = [
        _error(refusal, number)
        for number, line in enumerate(lines, 1)
        if (refusal := _mistake(line, batch.body["endpoint"])) is not None
    ]
    if not lines:
        errors = [_error(FormatRefusal(400, "The input file is empty.", code="empty_file"), None)]
    # One bad line fails the whole batch, before any line is answered.
    if errors:
        listed = {"object": "list", "data": errors}
        return {**batch.body, "status": "failed", "failed_at": now_s, "errors": listed}
    counts = {"total": len(lines), "completed": 0, "failed": 0}
    return {
        **batch.body,
        "status": "in_progress",
        "in_progress_at": now_s,
        "request_counts": counts,
    }


def _lines(account: CloudAccount, batch: KeptBatch) -> list[bytes]:
    content = find(account, batch.body["input_file_id"]).content
    return [line for line in content.splitlines() if line.strip()]


def _error(refusal: FormatRefusal, line: int | None) -> dict[str, object]:
    return {
        "code": refusal.code,
        "message": refusal.message,
        "param": refusal.param or None,
        "line": line,
    }


def _mistake(line: bytes, endpoint: str) -> FormatRefusal | None:
    """Return the problem with a line; None if it can be answered."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict):
        message = "This line is not parseable as JSON."
        return FormatRefusal(400, message, code="invalid_json_line")
    for name in ("custom_id", "method", "url", "body"):
        if name not in request:
            return missing(name)
    if request["url"] != endpoint:
        message = "The URL provided for this request does not match the batch endpoint."
        return FormatRefusal(400, message, param="url", code="mismatched_endpoint")
    try:
        expect(request["body"], dict, "body", "an object")
    except FormatRefusal as refusal:
        return refusal
    return None


def _run(
    account: CloudAccount, batch: KeptBatch, call: ModelCall, answer: BatchAnswerer
) -> dict[str, Any]:
    answered: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    tokens_in = tokens_out = 0
    for number, line in enumerate(_lines(account, batch)):
        request = json.loads(line)
        serial = hashlib.md5(f"{batch.serial} {number}".encode(), usedforsecurity=False).hexdigest()
        # Each line succeeds or fails alone.
        status, result, tokens = _answer_line(account, request, serial, call.now_s, answer)
        tokens_in, tokens_out = tokens_in + tokens[0], tokens_out + tokens[1]
        entry = {
            "id": f"batch_req_{serial}",
            "custom_id": request["custom_id"],
            "response": {"status_code": status, "request_id": f"req_{serial}", "body": result},
            "error": None,
        }
        (answered if status == 200 else refused).append(entry)
    now_s = int(call.now_s)
    usage = {
        "input_tokens": tokens_in,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": tokens_out,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": tokens_in + tokens_out,
    }
    return {
        **batch.body,
        "status": "completed",
        "output_file_id": _written(account, call, batch, answered, "output"),
        "error_file_id": _written(account, call, batch, refused, "error"),
        "finalizing_at": now_s,
        "completed_at": now_s,
        "request_counts": {
            "total": len(answered) + len(refused),
            "completed": len(answered),
            "failed": len(refused),
        },
        "usage": usage,
    }


def _answer_line(
    account: CloudAccount,
    request: dict[str, Any],
    serial: str,
    now_s: float,
    answer: BatchAnswerer,
) -> tuple[int, object, tuple[int, int]]:
    """Return the status, the body and the tokens of a line's answer."""
    call = ModelCall(
        method="POST",
        path=request["url"].removeprefix("/v1"),
        query="",
        content_type="application/json",
        body=msgspec.json.encode({**request["body"], "stream": None}),
        now_s=now_s,
        serial=serial,
    )
    try:
        reply = answer(account, call)
    except FormatRefusal as refusal:
        return refusal.status, refusal.body, (0, 0)
    except UnknownModel as unknown:
        message = f"The model `{unknown.model}` does not exist."
        return 404, FormatRefusal(404, message, code="model_not_found").body, (0, 0)
    return 200, reply.value, reply.tokens


def _written(
    account: CloudAccount,
    call: ModelCall,
    batch: KeptBatch,
    entries: list[dict[str, Any]],
    kind: str,
) -> object:
    """Return the file of these answers; None where there are none."""
    if not entries:
        return None
    content = b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)
    # The poll that completes a batch writes both files: their ids differ in the first digit.
    under = msgspec.structs.replace(
        call, serial=f"{call.serial[:8]}{'ef'[kind == 'error']}{call.serial[9:]}"
    )
    return store(account, under, f"{batch.body['id']}_{kind}.jsonl", "batch_output", content)["id"]
