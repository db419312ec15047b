"""The endpoints by name, with the code under which the journal knows each. A code never changes.

The gateway's table of operations says what each does; a test says that the two agree. Tiers are words of the clouds'
answers; where a record tells none, the endpoint does.
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
}
# No endpoint of ours: what another system reports as the sum of many requests, without their number.
SUMMED_NAME, SUMMED = "summed", 99
ENDPOINT_NAMES: Mapping[int, str] = {code: name for name, code in ENDPOINTS.items()} | {
    SUMMED: SUMMED_NAME
}


# The words by which clouds tell the tier in which a request was served; their places are the codes in the journal.
TIERS = ("", "default", "flex", "priority", "batch", "fast")
DEFAULT_TIER, BATCH = TIERS[1], TIERS[4]


def tier_of(endpoint: int, told: str | None = "") -> str:
    """The tier of a record: what its cloud told, else what the endpoint's code says."""
    return told or (BATCH if endpoint in batch_codes() else DEFAULT_TIER)


def batch_codes() -> list[int]:
    """The endpoints whose requests were sent as a file and are charged in the tier of batches."""
    return [code for name, code in ENDPOINTS.items() if name.startswith("batches.")]


def lengthless_codes() -> list[int]:
    """The endpoints whose records sum many requests: nobody can tell how long each of them was."""
    return [*batch_codes(), SUMMED]


def has_length(endpoint: str, requests: int = 1) -> bool:
    """Return whether a record is of a single request, so that its input tokens are the length of a context."""
    return requests <= 1 and endpoint != SUMMED_NAME and not endpoint.startswith("batches.")
