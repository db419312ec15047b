"""Batches' files: of every line the model's name changes, and nothing else of the file."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.gateway.plan.steps import whole
from clauseway.gateway.wire.batch_files import ModelPlaces, Upload, decode_upload, read_line, spans
from clauseway.gateway.wire.bodies.body_errors import BadBody
from clauseway.gateway.wire.bodies.multipart import BadForm, uploaded_in
from clauseway.gateway.wire.bodies.requests import PlainRequest

NAME, QUOTED = "there", b'"there"'
READ = {*PlainRequest.__struct_fields__, "method", "url", "body"}
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10) | st.sampled_from(
    ['"model"', '{"model":"here"}', "body", "\\", "\n", '"body":{', "}"]
)
names = (texts | st.sampled_from(["messages", "metadata", "twin"])).filter(lambda name: name not in READ)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.just("model"), inner, max_size=3),
    max_leaves=6,
)
members = st.dictionaries(names, values, max_size=2)
layouts = st.tuples(st.sampled_from([(",", ":"), (" , ", " : "), (", ", ":\t")]), st.booleans())


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """A request: any members about its model and its body, the body twice, in any order and spacing."""
    body = {**draw(members), "model": draw(st.sampled_from(["here", "also here", NAME])), **draw(members)}
    line: dict[str, Any] = {"method": "POST", "url": "/v1/embeddings", "body": body, **draw(members)}
    if draw(st.booleans()):
        line["twin"] = body
    line = {name: line[name] for name in draw(st.permutations(list(line)))}
    separators, escapes = draw(layouts)
    return json.dumps(line, separators=separators, ensure_ascii=escapes).encode()


blanks = st.sampled_from([b"", b" ", b"\t \r"])
ends = st.sampled_from([b"\n", b"\r\n"])
files = st.tuples(
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
    st.lists(st.tuples(lines() | blanks, ends), max_size=5),
    lines() | blanks,
).map(lambda file: file[0] + b"".join(line + end for line, end in file[1]) + file[2])


def places_in(body: bytes, begin: int, end: int) -> ModelPlaces:
    places = ModelPlaces()
    for span in spans(body, begin, end):
        written = body[span.begin : span.end]
        places.add(span, written, read_line(written))
    return places


def spliced(file: bytes) -> bytes:
    """As it stands in a form, between other things. Written for one deployment and then for another, it is as written
    for the other alone, where no line names the model as the other does."""
    body = b"--x\r\n" + file + b"\r\n--x--"
    places = places_in(body, 5, 5 + len(file))
    upload = Upload("batch", 5, 5 + len(file))
    upload.places = places
    sent = upload.body_for(body, NAME, QUOTED)
    upload.named = "first"
    first, upload.places = whole(places.written_for(body, upload.named, b'"first"'))
    written = [body[span.begin : span.end] for span in spans(body, 5, 5 + len(file))]
    if all(read_line(line).properties.model != NAME for line in written):
        assert upload.body_for(first, NAME, QUOTED) == sent
    assert (sent[:5], sent[-7:]) == (b"--x\r\n", b"\r\n--x--")
    return sent[5:-7]


@given(files)
def test_only_the_models_names_change(file: bytes) -> None:
    before, after = file.split(b"\n"), spliced(file).split(b"\n")
    assert len(after) == len(before)
    for line, changed in zip(before, after, strict=True):
        if not line.removeprefix(b"\xef\xbb\xbf").strip():
            assert changed == line
            continue
        was, now = json.loads(line), json.loads(changed)
        assert list(now.items()) == list({**was, "body": {**was["body"], "model": NAME}}.items())
        assert list(now["body"]) == list(was["body"])
        assert (line[-1:] == b"\r", line[:3]) == (changed[-1:] == b"\r", changed[:3])
        if was["body"]["model"] == NAME:
            assert changed == line


def test_for_the_next_deployment_no_line_is_read_again() -> None:
    """A deployment may refuse the file (429) when it is about to be sent, and all requests wait while it is written.
    So it is written by the places of the names alone, whatever stands between them."""
    line = b'{"method":"POST","url":"/v1/embeddings","body":{"model":"here","input":"word"}}\n'
    file = line * 3
    upload = Upload("batch", 0, len(file))
    upload.places = places_in(file, 0, len(file))
    unreadable = b"here".join(b"?" * len(part) for part in file.split(b"here"))
    assert upload.body_for(unreadable, NAME, QUOTED) == unreadable.replace(b"?here?", QUOTED)


@given(st.lists(lines().filter(lambda line: line.count(b'"model"') == 1), max_size=4), ends)
def test_every_other_byte_stays(written: list[bytes], end: bytes) -> None:
    def renamed(line: bytes) -> bytes:
        model = json.dumps(json.loads(line)["body"]["model"]).encode()
        return line.replace(model, QUOTED) if line.count(model) == 1 else b"".join(spliced(line).splitlines())

    assert spliced(end.join(written)) == end.join(map(renamed, written))


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    file = b"\xef\xbb\xbfa\r\n\r\n \nb\nc"
    assert [(number, file[begin:end]) for number, begin, end in spans(file, 0, len(file))] == [
        (1, b"a"),
        (4, b"b"),
        (5, b"c"),
    ]


@pytest.mark.parametrize(
    ("url", "operation"),
    [
        ("/v1/chat/completions", "chat"),
        ("/chat/completions", "chat"),  # as Azure's samples have it
        ("/v1/responses", "responses"),
        ("/v1/embeddings", "embeddings"),
        ("/v1/moderations", "moderations"),
        ("/v1/images/generations", "images.generations"),
        ("/v1/completions", ""),
        ("/v1/audio/speech", ""),
        ("/v1/files", ""),
        ("/v1/v1/responses", ""),
        ("https://elsewhere/v1/responses", ""),
        ("", ""),
    ],
)
def test_what_a_batch_may_ask_for(url: str, operation: str) -> None:
    written = json.dumps({"method": "POST", "url": url, "body": {"model": "here"}}).encode()
    if operation:
        assert read_line(written).operation == operation
    else:
        with pytest.raises(BadBody, match="batches are of /v1/chat/completions"):
            read_line(written)


def test_a_line_holds_no_other_line() -> None:
    """Python's text files end a line at CR too: the request within would run, and nobody decided it."""
    inner = b'{"method":"POST","url":"/v1/chat/completions","body":{"model":"other"}}'
    outer = b'{"method":"POST","url":"/v1/chat/completions","x":\r%b\r,"body":{"model":"here"}}' % inner
    assert [json.loads(line) for line in outer.decode().splitlines()[1:2]] == [json.loads(inner)]
    with pytest.raises(BadBody, match="carriage return"):
        read_line(outer)
    assert read_line(outer.replace(b"\r", b" ")).properties.model == "here"


def test_a_form_as_libraries_write_it() -> None:
    for named in ("b.jsonl", 'a "quoted"; name=x.jsonl', "ünï.jsonl", "a\\b.jsonl"):
        sent = httpx.Request("POST", "http://x", data={"purpose": "batch"}, files={"file": (named, b"content")})
        body = sent.read()
        purpose, begin, end = uploaded_in(body, sent.headers["content-type"].encode())
        assert (purpose, body[begin:end]) == ("batch", b"content"), named


def test_what_is_no_form() -> None:
    with pytest.raises(BadBody, match="is no form"):
        decode_upload(b"{}", b"application/json")
    with pytest.raises(BadForm, match="goes on otherwise"):
        uploaded_in(b"--b x\r\n\r\n\r\n--b--", b"multipart/form-data; boundary=b")
