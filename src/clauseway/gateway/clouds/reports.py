"""How each operation's answer, or the event that ends its stream, reports usage in our units, the
service tier in which the request was served and the model that gave the answer.

All are read in one pass: what a cloud says of the tier, which it may choose unasked, costs next to
nothing to look for.
"""

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
from clauseway.gateway.clouds.usage_reports import (
    Answered,
    Batched,
    DrawnReport,
    Embedded,
    Messaged,
    MessageUsage,
    Responded,
    Spoken,
    Transcribed,
)
from clauseway.metering.endpoints import DEFAULT_TIER, TIERS
from clauseway.values import NOT_JSON

_Answer = TypeVar("_Answer")
_Usage = TypeVar("_Usage")
_Reported = TypeVar("_Reported", covariant=True)


class AnswerReport:
    """What an answer reports: the units, None where it reports none; the tier, empty where it says none
    that we know; and the model by the cloud's word, empty where it says none.

    A plain class, because compiled code reads the fields of a plain class directly.
    """

    def __init__(self, units: Units | None, tier: str = "", model: str | None = None) -> None:
        self.units: Final = units
        self.tier: Final = tier
        self.model: Final = model or ""


NO_REPORT: Final = AnswerReport(None)
_NOTHING_USED: Final = AnswerReport(())


class Reader(Protocol):
    """Returns what an answer reports, and counts the parts of the report that are left out."""

    def __call__(self, answer: bytes, omissions: Omissions | None = None, /) -> AnswerReport: ...


class _Reporting(Protocol[_Reported]):
    """An answer that may report usage, the tier and the model."""

    @property
    def usage(self) -> _Reported | None: ...
    @property
    def service_tier(self) -> str | None: ...
    @property
    def model(self) -> str | None: ...


def _answers_in(
    kind: type[_Answer],
) -> Callable[[bytes, Omissions | None], _Answer | None]:
    """Return what decodes an answer of a kind: None if it is none."""
    decode = msgspec.json.Decoder(kind).decode

    def answer_in(answer: bytes, omissions: Omissions | None) -> _Answer | None:
        try:
            return decode(answer)
        except NOT_JSON:
            return answer_with_counts(kind, answer, omissions)

    return answer_in


def _reader(
    kind: type[_Reporting[_Usage]], units_of: Callable[[_Usage, Omissions | None], Units | None]
) -> Reader:
    answer_in = _answers_in(kind)

    def report_in(answer: bytes, omissions: Omissions | None = None, /) -> AnswerReport:
        answered = answer_in(answer, omissions)
        if answered is None:
            return NO_REPORT
        usage = answered.usage
        units = units_of(usage, omissions) if usage is not None else None
        return AnswerReport(units, tier_of(answered.service_tier, omissions), answered.model)

    return report_in


chat_answer_in: Final = _answers_in(Answered)
_response_in: Final = _answers_in(Responded)
_message_in: Final = _answers_in(Messaged)
_transcription_in: Final = _answers_in(Transcribed)
chat_report_in: Final = _reader(Answered, reported_units.units_of)
batch_report_in: Final = _reader(Batched, reported_units.units_of_batch)
embeddings_report_in: Final = _reader(Embedded, reported_units.units_of_embeddings)
images_report_in: Final = _reader(DrawnReport, reported_units.units_of_images)
speech_report_in: Final = _reader(Spoken, reported_units.units_of_speech)


def responses_report_in(answer: bytes, omissions: Omissions | None = None, /) -> AnswerReport:
    """Read a response, or an event that carries one."""
    responded = _response_in(answer, omissions)
    if responded is None:
        return NO_REPORT
    response = responded.response or responded
    report = reported_units.responses_report_of(response, answer, omissions)
    units = reported_units.units_of_responses(report, omissions) if report is not None else None
    tier = tier_of(responded.service_tier or response.service_tier, omissions)
    return AnswerReport(units, tier, response.model)


def messages_report_in(answer: bytes, omissions: Omissions | None = None, /) -> AnswerReport:
    """Read a message. One that lacks its input or its output reports no usage."""
    answered = _message_in(answer, omissions)
    if answered is None or answered.usage is None:
        return NO_REPORT
    usage = answered.usage
    units = reported_units.units_of_message(usage, omissions) if usage.is_whole else None
    return AnswerReport(units, tier_of_message(usage, omissions), answered.model)


# In a text its quotes would be escaped.
_OF_CHAT: Final = b'"prompt_tokens"'


def audio_report_in(answer: bytes, omissions: Omissions | None = None, /) -> AnswerReport:
    """Read a transcription or translation: tokens, or the audio's length. Mistral reports it as it
    reports a chat."""
    if _OF_CHAT in answer:
        return chat_report_in(answer, omissions)
    heard = _transcription_in(answer, omissions)
    if heard is None:
        return NO_REPORT
    usage = heard.usage
    units = reported_units.units_of_transcription(usage, omissions) if usage is not None else None
    return AnswerReport(units, tier_of(heard.service_tier, omissions), heard.model)


def no_report_in(_answer: bytes, _omissions: Omissions | None = None, /) -> AnswerReport:
    """For operations that use nothing that is priced."""
    return _NOTHING_USED


# The words of tiers that say nothing of the price: of a response that is not made yet, and what
# Anthropic calls the default.
_WITHOUT_TIER: Final = ("auto", "standard")


def tier_of(word: str | None, omissions: Omissions | None = None) -> str:
    """Return the tier that a cloud's word names; empty where it names none that we know, which is
    counted among the omissions."""
    if not word:
        return ""
    tier = "priority" if word == "fast" else word  # two words of OpenAI for one tier
    if tier in TIERS:
        return tier
    if tier not in _WITHOUT_TIER:
        note_omission(omissions, "service_tier")
    return ""


def tier_of_message(usage: MessageUsage, omissions: Omissions | None = None) -> str:
    """Return the tier of a message, which Anthropic's format has within its usage: a word of its own
    for the default, and the speed."""
    if usage.speed == "fast":
        return "fast"
    word = usage.service_tier
    return DEFAULT_TIER if word == "standard" else tier_of(word, omissions)
