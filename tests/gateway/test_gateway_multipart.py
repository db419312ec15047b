"""Forms in parts: what is read of them, and that a value is replaced in its place and nothing else."""

import contextlib
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.gateway.wire.bodies.multipart import BadForm, plain_fields, texts_of, uploaded_in, with_field

FILE = bytes(range(256)) * 3


def form(fields: dict[str, str], file: bytes = FILE) -> tuple[bytes, bytes]:
    """(body, content type) as a client writes them."""
    request = httpx.Request("POST", "http://x", data=fields, files={"file": ("a.wav", file, "audio/wav")})
    return request.read(), request.headers["content-type"].encode()


def fields_of(body: bytes, content_type: bytes) -> dict[str, str]:
    return texts_of(plain_fields(body, content_type), body)


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


@pytest.mark.parametrize("before", [b"", b"preamble\r\n"])
def test_a_field_that_is_missing_comes_first(before: bytes) -> None:
    """A cloud would else take its own default, which is another model than the one that was decided."""
    body, content_type = form({"language": "de"})
    changed = with_field(before + body, content_type, "model", b"there")
    assert fields_of(changed, content_type) == {"model": "there", "language": "de"}
    assert parsed(changed, content_type) == [("model", None, b"there"), *parsed(body, content_type)]
    assert changed.startswith(before)
    assert changed.endswith(body)


def test_another_parser_reads_the_same() -> None:
    body, content_type = form({"model": "gpt-4o-transcribe", "language": "de"})
    changed = with_field(body, content_type, "model", b"other")
    before, after = parsed(body, content_type), parsed(changed, content_type)
    assert [part if part[0] != "model" else ("model", None, b"other") for part in before] == after
    assert ("file", "a.wav", FILE) in after


QUOTED = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b--\r\n'
TYPE = b"multipart/form-data; boundary=b"
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
    (
        "parameters around the boundary",
        QUOTED,
        b'multipart/form-data;a=b; charset="x;y";boundary=b ; z=1;',
        {"model": "m"},
    ),
    (
        "a browser's boundary",
        QUOTED.replace(b"--b", b"------WebKitFormBoundary"),
        b"multipart/form-data; boundary=----WebKitFormBoundary",
        {"model": "m"},
    ),
    (
        "a mail library's boundary",
        QUOTED.replace(b"--b", b"------=_Part_1_2.3:/"),
        b"multipart/form-data; boundary=----=_Part_1_2.3:/",
        {"model": "m"},
    ),
    (
        "a boundary with a blank",
        QUOTED.replace(b"--b", b"--a b"),
        b'multipart/form-data; boundary="a b"',
        {"model": "m"},
    ),
    ("the boundary within a line", QUOTED.replace(b"\nm\r", b"\nm --b\r"), TYPE, {"model": "m --b"}),
    ("something behind the form", QUOTED + b"\r\nepilogue", TYPE, {"model": "m"}),
    ("no line break at the end", QUOTED[:-2], TYPE, {"model": "m"}),
    (
        "a part that says that it is not encoded",
        QUOTED.replace(b'"\r\n\r', b'"\r\nContent-Transfer-Encoding: 8bit\r\nx: y\r\n\r'),
        TYPE,
        {"model": "m"},
    ),
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


# Forms in which parsers that are in use (busboy, werkzeug, Starlette, Go's) read different models.
OTHER = QUOTED.replace(b"\nm\r", b"\nn\r")
IN_C = OTHER.replace(b"--b", b"--c") + b"\r\n" + QUOTED
BAD += [
    ("a boundary that ends another name", IN_C, b"multipart/form-data; xboundary=b; boundary=c"),
    ("two boundaries", IN_C, b"multipart/form-data; boundary=b; boundary=c"),
    ("a boundary within another value", IN_C, b'multipart/form-data; x="; boundary=b"; boundary=c'),
    ("a boundary in another character set", IN_C, b"multipart/form-data; boundary*=utf-8''c; boundary=b"),
    ("a boundary in pieces", IN_C, b"multipart/form-data; boundary*0=c; boundary=b"),
    ("an escape in the boundary", QUOTED, b'multipart/form-data; boundary="b\\"'),
    ("a boundary of 71 characters", QUOTED.replace(b"--b", b"--" + b"b" * 70), TYPE + b"b" * 70),
    ("a type that begins alike", QUOTED, b"multipart/form-data-x; boundary=b"),
    ("a form before the form", b"x\n" + OTHER.replace(b"\r\n", b"\n") + b"\r\n" + QUOTED, TYPE),
    ("a form behind the form", QUOTED + OTHER, TYPE),
    ("an end that goes on", QUOTED.replace(b"--b--", b"--b--b") + OTHER, TYPE),
    (
        "a part within a part, behind LF alone",
        QUOTED.replace(b"\nm\r", b"\nm\n" + OTHER[:-9].replace(b"\r\n", b"\n") + b"\r"),
        TYPE,
    ),
    ("a part within a part, behind CR alone", QUOTED.replace(b"\nm\r", b"\nm\r--b\r\r"), TYPE),
    (
        "a model as a file without a name",
        QUOTED.replace(b'"model"', b'"model"; filename=""')[:-7] + b"\r\n" + OTHER,
        TYPE,
    ),
    ("a model as a file", QUOTED.replace(b'"model"', b'"model"; filename="a"'), TYPE),
    ("an encoded part", QUOTED.replace(b'"\r\n\r', b'"\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r'), TYPE),
    (
        "a name behind another line",
        QUOTED.replace(b"\r\nC", b'\r\nx: y\r\n content-disposition: form-data; name="n"\r\nC', 1),
        TYPE,
    ),
]


@pytest.mark.parametrize(("body", "content_type"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_what_is_no_form(body: bytes, content_type: bytes) -> None:
    with pytest.raises(BadForm):
        fields_of(body, content_type)


PURPOSE = QUOTED.replace(b'"model"', b'"purpose"')


@pytest.mark.parametrize("purpose", ["batch\0", "\0", "user\ndata", "x\x7f"])
def test_a_purpose_has_no_control_characters(purpose: str) -> None:
    """No database of text keeps them all, and a cloud that reads C's text takes the first for its end."""
    assert uploaded_in(PURPOSE, TYPE).purpose == "m"
    with pytest.raises(BadForm):
        uploaded_in(PURPOSE.replace(b"\nm\r", b"\n%b\r" % purpose.encode()), TYPE)


@given(st.binary(max_size=300), st.integers(0, 300))
def test_whatever_comes_is_read_or_refused(noise: bytes, at: int) -> None:
    body = QUOTED[: at % len(QUOTED)] + noise + QUOTED[at % len(QUOTED) :]
    with contextlib.suppress(BadForm):
        fields_of(body, b"multipart/form-data; boundary=b")
