"""The endpoints by name, with the code under which the spool records each. A code never changes.

The gateway's table of operations describes each; a test holds the two tables equal. Service tiers
are words of the clouds' answers; where a record has none, the endpoint decides.
"""

from collections.abc import Mapping

ENDPOINTS: Mapping[str, int] = {
    "chat": 1,
    "responses": 2,
    "responses.retrieve": 3,
    "responses.delete": 4,
    "responses.cancel": 5,
    "responses.input_items": 6,
    "embeddings": 7,
    "images.generations": 8,
    "images.edits": 9,
    "images.variations": 10,
    "audio.speech": 11,
    "audio.transcriptions": 12,
    "audio.translations": 13,
    "moderations": 14,
    "files.create": 15,
    "files.list": 16,
    "files.retrieve": 17,
    "files.delete": 18,
    "files.content": 19,
    "batches.create": 20,
    "batches.list": 21,
    "batches.retrieve": 22,
    "batches.cancel": 23,
    "responses.input_tokens": 24,
    "responses.compact": 25,
    "conversations.create": 26,
    "conversations.retrieve": 27,
    "conversations.update": 28,
    "conversations.delete": 29,
    "conversations.items.create": 30,
    "conversations.items.list": 31,
    "conversations.items.retrieve": 32,
    "conversations.items.delete": 33,
    "completions": 34,
    "chat.list": 35,
    "chat.retrieve": 36,
    "chat.messages": 37,
    "chat.update": 38,
    "chat.delete": 39,
    "messages": 40,
    "messages.count_tokens": 41,
}
# Not an endpoint of ours: a sum of many requests, without their number, that another system
# reports.
SUMMED_NAME, SUMMED = "summed", 99
ENDPOINT_NAMES: Mapping[int, str] = {code: name for name, code in ENDPOINTS.items()} | {
    SUMMED: SUMMED_NAME
}


# The words by which clouds name the service tier of a request; their positions are the codes in the
# spool.
TIERS = ("", "default", "flex", "priority", "batch", "fast", "ultrafast")
DEFAULT_TIER, BATCH = TIERS[1], TIERS[4]


def tier_of(endpoint: int, reported: str | None = "") -> str:
    """Return the service tier of a record: as its cloud reported it, else by the endpoint's
    code."""
    return reported or (BATCH if endpoint in batch_codes() else DEFAULT_TIER)


def batch_codes() -> list[int]:
    """Return the codes of endpoints whose requests were sent as a file and are charged in the tier
    of batches."""
    return [code for name, code in ENDPOINTS.items() if name.startswith("batches.")]


def lengthless_codes() -> list[int]:
    """Return the codes of endpoints whose records sum many requests, so that no length of a request
    is known."""
    return [*batch_codes(), SUMMED]


def has_length(endpoint: str, requests: int = 1) -> bool:
    """Return whether a record is of a single request, so that its input tokens are the length of a
    context."""
    return requests <= 1 and endpoint != SUMMED_NAME and not endpoint.startswith("batches.")
