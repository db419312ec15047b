"""`/files`: upload, list, retrieve, content and delete, kept by the account."""

from typing import Final

from clauseway.sandbox.surfaces.account import CloudAccount, KeptFile, keep
from clauseway.sandbox.surfaces.multipart import read_form
from clauseway.sandbox.surfaces.parameters import choice, list_page, missing, query_of
from clauseway.sandbox.wire import FormatRefusal, ModelCall, Reply

_PURPOSES: Final = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
_LIST_MAX: Final = 10_000


def upload(account: CloudAccount, call: ModelCall) -> Reply:
    """`POST /files`."""
    form = read_form(call.content_type, call.body)
    fields = dict(form.fields)
    files = form.files("file")
    if not files:
        raise missing("file")
    if not fields.get("purpose"):
        raise missing("purpose")
    purpose = choice(fields, "purpose", _PURPOSES)
    return Reply(value=store(account, call, files[0].filename, purpose, files[0].content))


def store(
    account: CloudAccount, call: ModelCall, filename: str, purpose: str, content: bytes
) -> dict[str, object]:
    """Keep a file under an id drawn from the call's serial. Return the file object."""
    body: dict[str, object] = {
        "object": "file",
        "id": f"file-{call.serial[8:]}",
        "purpose": purpose,
        "filename": filename,
        "bytes": len(content),
        "created_at": int(call.now_s),
        "status": "processed",
    }
    keep(account.files, str(body["id"]), KeptFile(body, content))
    return body


def list_all(account: CloudAccount, call: ModelCall) -> Reply:
    """`GET /files`, the newest first."""
    asked = query_of(call.query)
    bodies = [
        file.body
        for file in account.files.values()
        if asked.get("purpose") in (None, file.body["purpose"])
    ]
    if asked.get("order", "desc") != "asc":
        bodies.reverse()
    return list_page(bodies, call.query, _LIST_MAX)


def retrieve(account: CloudAccount, call: ModelCall, file_id: str) -> Reply:
    return Reply(value=find(account, file_id).body)


def content(account: CloudAccount, call: ModelCall, file_id: str) -> Reply:
    return Reply(content=find(account, file_id).content, content_type=b"application/octet-stream")


def delete(account: CloudAccount, call: ModelCall, file_id: str) -> Reply:
    find(account, file_id)
    del account.files[file_id]
    return Reply(value={"object": "file", "id": file_id, "deleted": True})


def find(account: CloudAccount, file_id: str) -> KeptFile:
    if file_id not in account.files:
        raise FormatRefusal(404, f"No such File object: {file_id}", param="id")
    return account.files[file_id]
