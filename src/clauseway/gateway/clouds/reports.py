"""How each operation's answer, or the event that ends its stream, tells usage in our units."""

from collections.abc import Callable
from typing import TypeVar

from clauseway.gateway.clouds import usage
from clauseway.gateway.clouds.usage import Units

Reader = Callable[[bytes], Units | None]
_Report = TypeVar("_Report")


def _reader(find: Callable[[bytes], _Report | None], units_of: Callable[[_Report], Units]) -> Reader:
    def units_in(answer: bytes) -> Units | None:
        report = find(answer)
        return units_of(report) if report is not None else None

    return units_in


chat_units_in = _reader(usage.usage_in, usage.units_of)
responses_units_in = _reader(usage.responses_usage_in, usage.units_of_responses)
embeddings_units_in = _reader(usage.embeddings_usage_in, usage.units_of_embeddings)
images_units_in = _reader(usage.images_usage_in, usage.units_of_images)
speech_units_in = _reader(usage.speech_usage_in, usage.units_of_speech)


def audio_units_in(answer: bytes) -> Units | None:
    """Of a transcription or translation: tokens, or the audio's length."""
    report = usage.transcription_usage_in(answer)
    return usage.units_of_transcription(report) if report is not None else None


def no_units_in(_answer: bytes) -> Units:
    """For operations that use nothing that is priced."""
    return ()
