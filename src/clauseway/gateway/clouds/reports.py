"""How each operation's answer, or the event that ends its stream, reports usage in our units."""

import re
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

import msgspec

from clauseway.gateway.clouds import reported_units
from clauseway.gateway.clouds.reported_units import Units
from clauseway.gateway.clouds.unusual_counts import (
    Omissions,
    answer_with_counts,
    note_omission,
)
from clauseway.gateway.clouds.usage_reports import TierReport
from clauseway.metering.endpoints import TIERS
from clauseway.values import NOT_JSON

_Report = TypeVar("_Report")


class Reader(Protocol):
    """Returns the units that an answer reports, None if it reports none, and counts the parts of
    the report that are left out."""

    def __call__(self, answer: bytes, omissions: Omissions | None = None, /) -> Units | None: ...


def _reader(
    find: Callable[[bytes, Omissions | None], _Report | None],
    units_of: Callable[[_Report, Omissions | None], Units | None],
) -> Reader:
    def units_in(answer: bytes, omissions: Omissions | None = None, /) -> Units | None:
        report = find(answer, omissions)
        return units_of(report, omissions) if report is not None else None

    return units_in


chat_units_in: Final = _reader(reported_units.usage_in, reported_units.units_of)
responses_units_in: Final = _reader(
    reported_units.responses_usage_in, reported_units.units_of_responses
)
embeddings_units_in: Final = _reader(
    reported_units.embeddings_usage_in, reported_units.units_of_embeddings
)
images_units_in: Final = _reader(reported_units.images_usage_in, reported_units.units_of_images)
messages_units_in: Final = _reader(reported_units.message_usage_in, reported_units.units_of_message)
speech_units_in: Final = _reader(reported_units.speech_usage_in, reported_units.units_of_speech)
batch_units_in: Final = _reader(reported_units.batch_usage_in, reported_units.units_of_responses)


def audio_units_in(answer: bytes, omissions: Omissions | None = None, /) -> Units | None:
    """Of a transcription or translation: tokens, or the audio's length."""
    report = reported_units.transcription_usage_in(answer, omissions)
    return reported_units.units_of_transcription(report, omissions) if report is not None else None


_decode_tier: Final = msgspec.json.Decoder(TierReport).decode


_TIERS_OF_MESSAGES: Final = {"standard": "default", "priority": "priority", "batch": "batch"}
# The words of tiers that say nothing of the price: of a response that is not made yet, and what
# Anthropic calls the default.
_WITHOUT_TIER: Final = ("auto", "standard")
_TIER_NAME: Final = b'"service_tier"'
_OTHER_TIER: Final = re.compile(rb'"service_tier"(?!\s*:\s*(?:"(?:default|auto|standard)"|null\b))')


def names_another_tier(answer: bytes) -> bool:
    """Return whether an answer may name another service tier than the default one, which a cloud may
    choose without being asked. Looking costs far less than reading."""
    at = answer.find(_TIER_NAME)
    return at >= 0 and _OTHER_TIER.search(answer, at) is not None


def tier_in(answer: bytes, omissions: Omissions | None = None) -> str:
    """The service tier in which a request was served, by the cloud's word; empty where it says none
    that we know. One that we do not know is counted among the omissions."""
    try:
        answered = _decode_tier(answer)
    except NOT_JSON:
        unusual = answer_with_counts(TierReport, answer)
        if unusual is None:
            return ""
        answered = unusual
    carried = answered.response or answered.message or answered
    tier = answered.service_tier or carried.service_tier
    if tier == "fast":
        tier = "priority"  # two words of OpenAI for one tier
    if tier is None and carried.usage is not None:
        report = carried.usage
        tier = report.speed if report.speed == "fast" else report.service_tier
        tier = _TIERS_OF_MESSAGES.get(tier or "", tier)
    if tier and tier not in TIERS and tier not in _WITHOUT_TIER:
        note_omission(omissions, "service_tier")
    return tier if tier in TIERS else ""


def no_units_in(_answer: bytes, _omissions: Omissions | None = None) -> Units:
    """For operations that use nothing that is priced."""
    return ()
