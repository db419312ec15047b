"""`POST /audio/speech`, `/transcriptions` and `/translations`: silence of the right length, and
words for any sound.

A spoken word lasts 0.4 seconds and 10 tokens; a file of sound lasts a second for every 16,000 of
its bytes.
"""

import base64
import struct
from collections.abc import Mapping
from typing import Final

from clauseway.sandbox.surfaces.account import CloudAccount
from clauseway.sandbox.surfaces.generation import Generation, count_tokens
from clauseway.sandbox.surfaces.generation import generate as generate_text
from clauseway.sandbox.surfaces.multipart import Form, FormPart, read_form
from clauseway.sandbox.surfaces.parameters import choice, missing, model_of, read_object, required
from clauseway.sandbox.wire import STREAM, FormatRefusal, ModelCall, Reply, event

_TOKENS_OF_WORD: Final = 10
_SAMPLES_OF_WORD: Final = 9_600  # 0.4 s of 24 kHz
_BYTES_OF_SECOND: Final = 16_000
# A frame of silence: MPEG 1, layer III, 128 kbit/s, 44.1 kHz; one lasts 26 ms.
_MP3_FRAME: Final = b"\xff\xfb\x90\x64" + bytes(413)
_MP3_FRAMES_OF_WORD: Final = 15
_TYPES: Final = {
    "mp3": b"audio/mpeg",
    "opus": b"audio/opus",
    "aac": b"audio/aac",
    "flac": b"audio/flac",
    "wav": b"audio/wav",
    "pcm": b"audio/pcm",
}
_TEXTS: Final = ("json", "text", "srt", "verbose_json", "vtt")


def speak(account: CloudAccount, call: ModelCall) -> Reply:
    """`POST /audio/speech`."""
    request = read_object(call.body)
    model = model_of(request, call.model)
    text = str(required(request, "input"))
    required(request, "voice")
    form = choice(request, "response_format", tuple(_TYPES))
    streamed = choice(request, "stream_format", ("audio", "sse")) == "sse"
    account.snapshot(model, "speech")
    words = count_tokens(text)
    sound = _sound(form, words)
    tokens = (words, words * _TOKENS_OF_WORD)
    if not streamed:
        return Reply(content=sound, content_type=_TYPES[form], tokens=tokens)
    usage = {
        "input_tokens": words,
        "output_tokens": words * _TOKENS_OF_WORD,
        "total_tokens": words * (1 + _TOKENS_OF_WORD),
    }
    delta = {"type": "speech.audio.delta", "audio": base64.b64encode(sound).decode()}
    events = (event(delta), event({"type": "speech.audio.done", "usage": usage}))
    return Reply(content_type=STREAM, events=events, tokens=tokens)


def transcribe(account: CloudAccount, call: ModelCall) -> Reply:
    """`POST /audio/transcriptions`."""
    return _hear(account, call, "transcribe")


def translate(account: CloudAccount, call: ModelCall) -> Reply:
    """`POST /audio/translations`."""
    return _hear(account, call, "translate")


def _hear(account: CloudAccount, call: ModelCall, task: str) -> Reply:
    form = read_form(call.content_type, call.body)
    fields = form.fields
    model = model_of(dict(fields), call.model)
    sound = _file(form)
    account.snapshot(model, "transcription")
    whisper = model.startswith("whisper")
    form_name = choice(dict(fields), "response_format", _TEXTS)
    if form_name not in ("json", "text") and not whisper:
        raise FormatRefusal(
            400,
            f"response_format '{form_name}' is not compatible with model '{model}'. Use 'json' "
            f"or 'text' instead.",
            param="response_format",
            code="unsupported_value",
        )
    generation = generate_text((sound.content.hex(),), None, fields.get("stream") == "true")
    seconds = max(1, -(-len(sound.content) // _BYTES_OF_SECOND))
    usage = _usage(generation, seconds, fields.get("prompt", ""), whisper)
    # Whisper is billed by the second, the others by tokens.
    tokens = (
        (0, 0)
        if whisper
        else (
            count_tokens(fields.get("prompt", "")) + seconds * _TOKENS_OF_WORD,
            generation.completion_tokens,
        )
    )
    if fields.get("stream") == "true" and not whisper:
        deltas = [{"type": "transcript.text.delta", "delta": piece} for piece in generation.pieces]
        done = {"type": "transcript.text.done", "text": generation.text, "usage": usage}
        return Reply(content_type=STREAM, events=tuple(map(event, (*deltas, done))), tokens=tokens)
    if form_name == "json":
        return Reply(value={"text": generation.text, "usage": usage}, tokens=tokens)
    if form_name == "verbose_json":
        return Reply(value=_verbose(generation, seconds, task, usage), tokens=tokens)
    return Reply(
        content=_plain(generation.text, seconds, form_name),
        content_type=b"text/plain; charset=utf-8",
        tokens=tokens,
    )


def _file(form: Form) -> FormPart:
    files = form.files("file")
    if not files:
        raise missing("file")
    if not files[0].content:
        raise FormatRefusal(
            400,
            "Audio file is too short. Minimum audio length is 0.1 seconds.",
            code="audio_too_short",
        )
    return files[0]


def _usage(
    generation: Generation, seconds: int, prompt: str, whisper: bool
) -> Mapping[str, object]:
    if whisper:
        return {"type": "duration", "seconds": seconds}
    text, sound = count_tokens(prompt), seconds * _TOKENS_OF_WORD
    return {
        "type": "tokens",
        "input_tokens": text + sound,
        "input_token_details": {"text_tokens": text, "audio_tokens": sound},
        "output_tokens": generation.completion_tokens,
        "total_tokens": text + sound + generation.completion_tokens,
    }


def _verbose(
    generation: Generation, seconds: int, task: str, usage: Mapping[str, object]
) -> dict[str, object]:
    segment = {
        "id": 0,
        "seek": 0,
        "start": 0.0,
        "end": float(seconds),
        "text": f" {generation.text}",
        "tokens": list(range(generation.completion_tokens)),
        "temperature": 0.0,
        "avg_logprob": -0.25,
        "compression_ratio": 1.25,
        "no_speech_prob": 0.01,
    }
    verbose = {
        "task": task,
        "language": "english",
        "duration": float(seconds),
        "text": generation.text,
    }
    return {**verbose, "segments": [segment], "usage": usage}


def _plain(text: str, seconds: int, form: str) -> bytes:
    end = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    match form:
        case "srt":
            return f"1\n00:00:00,000 --> {end},000\n{text}\n\n\n".encode()
        case "vtt":
            return f"WEBVTT\n\n00:00:00.000 --> {end}.000\n{text}\n\n".encode()
    return f"{text}\n".encode()


def _sound(form: str, words: int) -> bytes:
    if form not in ("wav", "pcm"):
        return _MP3_FRAME * (_MP3_FRAMES_OF_WORD * words)
    samples = bytes(2 * _SAMPLES_OF_WORD * words)
    if form == "pcm":
        return samples
    shape = struct.pack("<HHIIHH", 1, 1, 24_000, 48_000, 2, 16)
    head = (
        b"WAVEfmt "
        + struct.pack("<I", len(shape))
        + shape
        + b"data"
        + struct.pack("<I", len(samples))
    )
    return b"RIFF" + struct.pack("<I", len(head) + len(samples)) + head + samples
