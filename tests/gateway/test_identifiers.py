"""Objects that a body names by identifier, however it is written: items of earlier answers, files, sound."""

import httpx
import pytest
from gateway_rig import MODEL

from clauseway.gateway.wire.bodies.body_contents import read_body
from clauseway.gateway.wire.bodies.identifiers import identifiers_in
from clauseway.gateway.wire.bodies.item_references import items_named_in
from clauseway.gateway.wire.bodies.needs import ItemReference
from clauseway.gateway.wire.bodies.requests import decode_sound
from clauseway.gateway.wire.stateful_resources import objects_in
from work_done import calls_in

BARE = (ItemReference("it_1", is_bare=True),)
BROUGHT_ALONG = (ItemReference("it_1", is_bare=False),)
NONE = ()

# The members of an item beside its identifier → how the request names it.
ITEMS: list[tuple[str, tuple[ItemReference, ...]]] = [
    ('"type":"item_reference"', BARE),
    ('"type":"item_reference","role":"user","content":"text"', BARE),
    ('"type":null', BARE),
    ('"type":""', BARE),
    ('"type":null,"role":""', BARE),
    ('"role":"user","content":"text"', NONE),
    ('"type":"message","role":"user","content":"text"', NONE),
    # Thinking that says nothing of what was thought is read by its identifier.
    ('"type":"reasoning","summary":[]', BROUGHT_ALONG),
    ('"type":"reasoning","summary":[],"content":[]', BROUGHT_ALONG),
    ('"type":"reasoning","summary":[],"content":[ ]', BROUGHT_ALONG),
    ('"type":"reasoning","summary":[],"content":[\\n]', BROUGHT_ALONG),
    ('"type":"reasoning","summary":[],"content":[{}]', BROUGHT_ALONG),
    ('"type":"reasoning","summary":[],"content":[null]', BROUGHT_ALONG),
    ('"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":""}]', BROUGHT_ALONG),
    ('"type":"reasoning","summary":[],"content":{}', BROUGHT_ALONG),
    ('"type":"reasoning","summary":[],"content":null', BROUGHT_ALONG),
    ('"type":"reasoning","summary":[],"content":""', BROUGHT_ALONG),
    ('"type":"reasoning","summary":[],"encrypted_content":null', BROUGHT_ALONG),
    ('"type":"reasoning","summary":[],"encrypted_content":""', BROUGHT_ALONG),
    ('"type":"reasoning","summary":[],"encrypted_content":[]', BROUGHT_ALONG),
    ('"type":"reasoning","summary":[],"encrypted_content":"c2VhbGVk"', NONE),
    ('"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"Thought."}]', NONE),
    ('"type":"image_generation_call","status":"completed"', BARE),
    ('"type":"image_generation_call","status":"completed","result":null', BARE),
    ('"type":"image_generation_call","status":"completed","result":""', BARE),
    ('"type":"image_generation_call","status":"completed","result":"iVBO"', BROUGHT_ALONG),
]


@pytest.mark.parametrize("name", ["input", "items"])
@pytest.mark.parametrize(("members", "named"), ITEMS)
def test_an_item_is_named_however_it_is_written(members: str, named: tuple[ItemReference, ...], name: str) -> None:
    written = members.replace("\\n", "\n")
    body = f'{{"model":"{MODEL}","{name}":[{{"id":"it_1",{written}}}]}}'
    assert items_named_in(body.encode()) == named


# Values of `file_ids` or `vector_store_ids` → the names in it.
LISTS: list[tuple[str, list[str]]] = [
    ('["file-1"]', ["file-1"]),
    ('[ "file-1" ,\n"file-2" ]', ["file-1", "file-2"]),
    ("[]", []),
    ('["]","file-2"]', ["]", "file-2"]),
    ('["[]","file-2"]', ["[]", "file-2"]),
    ('["","file-2"]', ["file-2"]),
    (r'["\"","file-2"]', [r"\"", "file-2"]),
    (r'["\\","]","file-2"]', [r"\\", "]", "file-2"]),
]


@pytest.mark.parametrize("name", ["file_ids", "vector_store_ids", r"file\u005fids"])
@pytest.mark.parametrize(("written", "names"), LISTS)
def test_no_name_of_a_list_hides_another(written: str, names: list[str], name: str) -> None:
    body = f'{{"model":"{MODEL}","tools":[{{"type":"file_search","{name}":{written}}}]}}'
    assert identifiers_in(body.encode()) == names


# A file's name as it is written in a body → the names that are read.
ESCAPED: list[tuple[str, list[str]]] = [
    (r'"file_id":"file\u002d1"', ["file-1"]),
    (r'"file\u005fid" : "file-1"', ["file-1"]),
    (r'"\u0066\u0069\u006c\u0065\u005F\u0069\u0064":"\u0066\u0069\u006C\u0065-1"', ["file-1"]),
    (r'"file\u005fid":"%s"' % (r"\u0061" * 200), ["a" * 200]),
    (r'"x":"caf\u00e9","file_id":"file-1"', ["file-1"]),
    (r'"x":"file\u005fid","y":"file-1"', []),
    (r'"metadata":{"file\u005fid":"file-1"}', []),
    (r'"metadata":{"file_id":"file-1"},"part":{"file\u005fid":"file-1"}', ["file-1"]),
]


@pytest.mark.parametrize(("written", "names"), ESCAPED)
def test_a_file_is_named_however_its_letters_are_written(written: str, names: list[str]) -> None:
    assert identifiers_in(f'{{"model":"{MODEL}",{written}}}'.encode()) == names


def test_a_million_escapes_are_not_read_one_by_one() -> None:
    """Everybody else waits as long: each was replaced by itself, which took a second and more."""
    body = b'{"input":"%b"}' % (b"\\u0061" * 1_000_000)
    assert identifiers_in(body) == []
    assert calls_in(lambda: identifiers_in(body)).total() < 100


def test_nothing_is_named_in_a_recording() -> None:
    """Its bytes are not searched: they are no text, and there are many."""
    form = httpx.Request("POST", "http://x", data={"model": "m"}, files={"file": ("a.wav", b'"file_id":"file-1"')})
    contents = read_body(decode_sound, form.read(), form.headers["content-type"].encode())
    assert contents.named_ids == ()


# The items of a list, the second of them with half of a surrogate pair, whole pairs and a text that the list has too.
LISTED = (
    rb'{"object":"list","first":{"id":"rs_1"},"data":[{"id":"rs_1"},',
    rb' {"id":"msg_1","text":"\ud83d \ud83d\ude00 rs_1"} ',
    rb',{"id":"rs_1"}],"has_more":true}',
)


def test_items_are_learned_of_a_list_with_half_of_a_pair() -> None:
    begun, item, rest = LISTED
    assert objects_in(begun + item + rest) == (
        [("rs_1", b'{"id":"rs_1"}'), ("msg_1", item.strip()), ("rs_1", b'{"id":"rs_1"}')],
        True,
    )
