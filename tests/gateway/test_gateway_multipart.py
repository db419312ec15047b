"""Forms in parts: what is read of them, and that a value is replaced in its place and nothing else."""

import contextlib
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.gateway.wire.bodies.multipart import BadForm, fields_of, with_field

FILE = bytes(range(256)) * 3


def form(fields: dict[str, str], file: bytes = FILE) -> tuple[bytes, bytes]:
    """(body, content type) as a client writes them."""
    request = httpx.Request("POST", "http://x", data=fields, files={"file": ("a.wav", file, "audio/wav")})
    return request.read(), request.headers["content-type"].encode()


def parsed(body: bytes, content_type: bytes) -> list[tuple[object, object, object]]:
    """(name, file name, content) of each part, as Python's own parser reads it."""
    message = BytesParser(EmailMessage, policy=HTTP).parsebytes(b"content-type: %b\r\n\r\n" % content_type + body)
    return [
        (part.get_param("name", header="content-disposition"), part.get_filename(), part.get_payload(decode=True))
        for part in message.iter_parts()
    ]


values = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=60)


@given(model=values, prompt=values)
def test_plain_fields_are_read_and_files_are_not(model: str, prompt: str) -> None:
    assert fields_of(*form({"model": model, "prompt": prompt})) == {"model": model, "prompt": prompt}


@given(model=values, other=values, new=st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), max_size=80))
def test_a_value_is_replaced_in_its_place_and_nothing_else(model: str, other: str, new: str) -> None:
    body, content_type = form({"before": other, "model": model, "after": other})
    changed = with_field(body, content_type, "model", new.encode())
    begin = body.index(b'name="model"\r\n\r\n') + len(b'name="model"\r\n\r\n')
    end = begin + len(model.encode())
    assert changed == body[:begin] + new.encode() + body[end:]
    assert fields_of(changed, content_type) == {"before": other, "model": new, "after": other}


@given(st.binary(max_size=400))
def test_a_files_content_stays_and_cannot_pass_for_a_field(content: bytes) -> None:
    body, content_type = form(
        {"model": "m"}, content + b'\r\n\r\ncontent-disposition: form-data; name="model"\r\n\r\nx'
    )
    assert fields_of(body, content_type) == {"model": "m"}
    assert with_field(with_field(body, content_type, "model", b"longer"), content_type, "model", b"m") == body


def test_another_parser_reads_the_same() -> None:
    body, content_type = form({"model": "gpt-4o-transcribe", "language": "de"})
    changed = with_field(body, content_type, "model", b"other")
    before, after = parsed(body, content_type), parsed(changed, content_type)
    assert [part if part[0] != "model" else ("model", None, b"other") for part in before] == after
    assert ("file", "a.wav", FILE) in after


QUOTED = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b--\r\n'
FORMS: list[tuple[str, bytes, bytes, dict[str, str]]] = [
    ("boundary in quotes", QUOTED, b'multipart/form-data; boundary="b"', {"model": "m"}),
    ("other spellings", QUOTED.replace(b"Content-D", b"CONTENT-d"), b"Multipart/Form-Data; BOUNDARY=b", {"model": "m"}),
    ("something before the first part", b"preamble\r\n" + QUOTED, b"multipart/form-data; boundary=b", {"model": "m"}),
    ("an empty value", QUOTED.replace(b"\r\nm\r\n", b"\r\n\r\n"), b"multipart/form-data; boundary=b", {"model": ""}),
    (
        "the last of two",
        (QUOTED[:-7] + b"\r\n" + QUOTED.replace(b"\nm\r", b"\nn\r")).replace(b"model", b"prompt"),
        b"multipart/form-data; boundary=b",
        {"prompt": "n"},
    ),
    ("a name without quotes", QUOTED.replace(b'"model"', b"model"), b"multipart/form-data; boundary=b", {"model": "m"}),
    ("no parts", b"--b--\r\n", b"multipart/form-data; boundary=b", {}),
]


@pytest.mark.parametrize(("body", "content_type", "expected"), [case[1:] for case in FORMS], ids=[c[0] for c in FORMS])
def test_forms(body: bytes, content_type: bytes, expected: dict[str, str]) -> None:
    assert fields_of(body, content_type) == expected


BAD: list[tuple[str, bytes, bytes]] = [
    ("JSON", b"{}", b"application/json"),
    ("no type", QUOTED, b""),
    ("no boundary", QUOTED, b"multipart/form-data"),
    ("another boundary", QUOTED, b"multipart/form-data; boundary=c"),
    ("empty", b"", b"multipart/form-data; boundary=b"),
    ("no end", QUOTED[:-7], b"multipart/form-data; boundary=b"),
    ("a head without end", b"--b\r\nContent-Disposition: form-data", b"multipart/form-data; boundary=b"),
    ("two models", QUOTED[:-7] + b"\r\n" + QUOTED.replace(b"\nm\r", b"\nn\r"), b"multipart/form-data; boundary=b"),
    (
        "a model as long as a book",
        QUOTED.replace(b"\nm\r", b"\n%b\r" % (b"m" * 100_000)),
        b"multipart/form-data; boundary=b",
    ),
    ("a part without a name", QUOTED.replace(b'; name="model"', b""), b"multipart/form-data; boundary=b"),
    ("too many parts", QUOTED[:-7] * 1200 + b"\r\n--b--\r\n", b"multipart/form-data; boundary=b"),
]


@pytest.mark.parametrize(("body", "content_type"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_what_is_no_form(body: bytes, content_type: bytes) -> None:
    with pytest.raises(BadForm):
        fields_of(body, content_type)


@given(st.binary(max_size=300), st.integers(0, 300))
def test_whatever_comes_is_read_or_refused(noise: bytes, at: int) -> None:
    body = QUOTED[: at % len(QUOTED)] + noise + QUOTED[at % len(QUOTED) :]
    with contextlib.suppress(BadForm):
        fields_of(body, b"multipart/form-data; boundary=b")
