"""Everything that reads what others wrote: how inputs are made of valid ones, how they are read, what may refuse them.

Each reader is opened once, and then given inputs. Its valid inputs come first, and must be read.
"""

import asyncio
import base64
import contextlib
import csv
import hashlib
import io
import json
import os
import shutil
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from gateway_rig import (
    ANSWER,
    DONE_EVENT,
    GATEWAY,
    MODEL,
    SECRET,
    USAGE_EVENT,
    Connection,
    Received,
    Rig,
    chat_body,
    content_events,
    read_all,
)
from mutations import Mutator
from small_agreement import DOCUMENTS
from starlette.types import ASGIApp
from test_any_text import REGISTER, SUPPOSITIONS
from test_any_usage_file import BILL, EVENT, EXPORT, OWN
from wsproto import ConnectionType
from wsproto.connection import Connection as Frames
from wsproto.events import CloseConnection, Event, TextMessage
from wsproto.frame_protocol import CloseReason

import settled_book
from clauseway.agreement import boundaries, in_force, read_agreement, read_facts, revenue_shares, suppose
from clauseway.app.agreements.explaining import read_explanation, verify
from clauseway.app.books import backing_up, backups, restoring
from clauseway.app.opening.configuration import example_text, read_configuration, settings_of
from clauseway.app.opening.home import Home
from clauseway.app.opening.key_file import read_key_file
from clauseway.app.opening.library import open_agreement
from clauseway.app.opening.prices import own_book, own_rates
from clauseway.app.opening.probing import CloudAnswer
from clauseway.app.opening.several import open_agreements
from clauseway.app.reports import pack_layout, packing
from clauseway.app.reports.handed_statements import read_statement
from clauseway.app.reports.signing import _read as read_signatures
from clauseway.app.running.pages_process import HomePages
from clauseway.app.usage.importing import _body_of
from clauseway.exchange import parquet_reading
from clauseway.exchange.focus.bill_rows import read_bill
from clauseway.exchange.listings import read_listings
from clauseway.exchange.litellm import read_litellm
from clauseway.exchange.parquet_process import WINDOW_ROWS, TooLarge, batches, opened
from clauseway.exchange.question_files import read_questions, refused_as_a_whole
from clauseway.exchange.signatures import unsigned, written
from clauseway.exchange.usage.focus import BillNames
from clauseway.exchange.usage.parquet_rows import rows_of_batch
from clauseway.exchange.usage.reported_rows import Reported
from clauseway.exchange.usage.usage_files import format_of, read_usage, spans_in
from clauseway.gateway.clouds import reports
from clauseway.gateway.credentials.jwt import expiry_s
from clauseway.gateway.plan.clock import system_clock
from clauseway.gateway.plan.file import encode_plan, read_pieces
from clauseway.gateway.plan.steps import whole
from clauseway.gateway.routing.opening import opening
from clauseway.gateway.wire.message_streams import FramedMessageStream, MessageStream
from clauseway.gateway.wire.sse import BadStream
from clauseway.gateway.wire.streams import EventStream
from clauseway.gateway.wire.typed_streams import TypedStream
from clauseway.gateway.wire.whole_answers import IS_ANSWER
from clauseway.ledger.statement import canonical_bytes
from clauseway.metering import Bounds, Intent, RequestId, Status, Unit, UsageRecord, Used, examine
from clauseway.sandbox.surfaces.aws_frames import chunk_frame, data_in
from clauseway.spool import open_attempts, positions, read_frames
from clauseway.spool import segment_format as layout
from clauseway.spool.follower_messages import (
    BadMessage,
    Channel,
    MessageKind,
    check_preface,
    pack_append,
    pack_preface,
    unpack_append,
    unpack_release,
)
from clauseway.spool.reader import extents
from clauseway.spool.segments import segment_path
from clauseway.values import FOREVER, InvalidInput, KnownAt, Problem
from clauseway.web.page_list import PAGES
from clauseway.web.pages import create_app
from litellm_config import TEN

ROOT = Path(__file__).parents[2]
Make = Callable[[Mutator], bytes]
Read = Callable[[bytes], object]
# Valid inputs, how one is made, how it is read.
Opened = tuple[Sequence[bytes], Make, Read]


class Refused(Exception):
    """For a reader that answers instead of raising: the answer says no."""


class Reader(NamedTuple):
    """`what` is in the words of the page. `refuses` are the errors that may come of an input. `in_suite` inputs are
    read by the suite: fewer where one takes long. One that `is_asked` answers, and may answer no to a valid input."""

    name: str
    what: str
    open: Callable[[Path], AbstractContextManager[Opened]]
    refuses: tuple[type[Exception], ...] = (InvalidInput,)
    in_suite: int = 300
    is_asked: bool = False

    def why_bad(self, error: Exception) -> str:
        """A refusal says what is wrong and what to do; why this one does not, or nothing."""
        if not isinstance(error, InvalidInput):
            return ""
        if not error.problems:
            return "refused without a problem"
        for problem in error.problems:
            if not (problem.what and problem.remedy) or problem.line < 0:
                return f"a refusal that says nothing: {problem!r}"[:200]
        return ""


def _any(valid: Sequence[bytes], change: Callable[[Mutator, bytes], bytes]) -> Make:
    return lambda mutator: change(mutator, mutator.random.choice(valid))


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


OPENED = open_agreement()
NAMES = BillNames.of(OPENED.catalog)


# Texts of agreements, facts and configurations


@contextmanager
def _agreements(_: Path) -> Iterator[Opened]:
    """A document of the small agreement; its first line is its name."""
    valid = [_bytes(f"{name}\n{text}") for name, text in DOCUMENTS.items()]

    def read(content: bytes) -> object:
        name, _, text = _text(content).partition("\n")
        agreement = read_agreement(DOCUMENTS | {name: text})
        readings = agreement.default_readings()
        in_force(agreement, OPENED.facts, FOREVER, KnownAt.everything(), readings)
        boundaries(agreement, OPENED.facts, KnownAt.everything())
        return revenue_shares(agreement, OPENED.facts.known(KnownAt.everything()), KnownAt.everything(), readings)

    yield valid, _any(valid, Mutator.bytes_of), read


@contextmanager
def _facts(_: Path) -> Iterator[Opened]:
    """A register, or a supposition of the command line."""
    valid = [_bytes(REGISTER), *map(_bytes, SUPPOSITIONS)]

    def read(content: bytes) -> object:
        text = _text(content)
        if text.startswith("-") or "\n" in text:
            return read_facts("facts.yaml", text, OPENED.catalog, {})
        return OPENED.facts.with_facts([suppose(text, OPENED.catalog, {})])

    yield valid, _any(valid, Mutator.bytes_of), read


@contextmanager
def _configurations(folder: Path) -> Iterator[Opened]:
    example = example_text().encode()
    plain = "\n".join(line for line in example.decode().splitlines() if not line.startswith("#")).encode()
    every = "\n".join(line.removeprefix("# ") for line in example.decode().splitlines()).encode()
    path = folder / "clauseway.toml"

    def read(content: bytes) -> object:
        path.write_bytes(content)
        return settings_of(read_configuration(path, OPENED.catalog, secrets=False), path)

    valid = [plain, example]
    with contextlib.suppress(tomllib.TOMLDecodeError):
        tomllib.loads(every.decode())
        valid.append(every)
    yield valid, _any(valid, Mutator.bytes_of), read


# Nine of ten inputs are of these: YAML of ten models takes some 10 ms.
_LITELLM_SHORT = (
    "model_list:\n  - {model_name: gpt-5.5, litellm_params: {model: openai/gpt-5.5, api_key: os.environ/KEY}}\n",
    """\
model_list:
  - model_name: gpt-5.5
    litellm_params: {model: azure/prod-55, api_base: "https://contoso.openai.azure.com/", rpm: 600}
    model_info: {base_model: azure/gpt-5.5}
litellm_settings: {fallbacks: [{gpt-5.5: [mistral-large]}]}
router_settings: {model_group_alias: {chat: gpt-5.5}}
""",
)


@contextmanager
def _litellm(_: Path) -> Iterator[Opened]:
    valid = [TEN.encode(), *map(str.encode, _LITELLM_SHORT)]
    shares = [valid[0], *valid[1:] * 5]

    def text_of(content: bytes, name: str) -> str:
        if name != "config.yaml":
            raise FileNotFoundError(name)
        return content.decode("utf-8")

    yield (
        valid,
        _any(shares, Mutator.bytes_of),
        lambda content: read_litellm("config.yaml", lambda name: text_of(content, name)),
    )


# Prices and listings


@contextmanager
def _books(folder: Path) -> Iterator[Opened]:
    shipped = (resources.files("clauseway.pricing") / "data" / "prices.csv").read_text("utf-8")
    lines = [line for line in shipped.splitlines(keepends=True) if not line.startswith("#")]
    valid = ["".join(lines[:size]).encode() for size in (2, 12, 60)]
    path = folder / "book.csv"

    def read(content: bytes) -> object:
        path.write_bytes(content)
        return own_book(path)

    yield valid, _any(valid, Mutator.bytes_of), read


@contextmanager
def _rates(folder: Path) -> Iterator[Opened]:
    valid = [b"day,base,quote,rate\n2026-04-01,EUR,USD,1.08\n2026-04-02,USD,GBP,0.8\n"]
    path = folder / "rates.csv"

    def read(content: bytes) -> object:
        path.write_bytes(content)
        return own_rates(path)

    yield valid, _any(valid, Mutator.bytes_of), read


# Usage that others counted, and bills


def _bounds() -> Bounds:
    catalog = OPENED.catalog
    return Bounds(
        products=frozenset(catalog.products),
        clouds=frozenset(catalog.clouds),
        sellers=frozenset(catalog.parties),
        first_ns=0,
        last_ns=1_800_000_000_000_000_000,
    )


def _usage_reader(folder: Path, suffix: str, form: str) -> Read:
    path, bounds = folder / f"usage{suffix}", _bounds()

    def read(content: bytes) -> object:
        path.write_bytes(content)
        with contextlib.suppress(InvalidInput):
            format_of(path)
        return _examined(
            (each for chunk in read_usage(path, form, NAMES, 1000, spans_in([(path, form)])) for each in chunk), bounds
        )

    return read


def _examined(usage: Iterator[Reported], bounds: Bounds) -> int:
    """The number of rows. A row that waits in quarantine is refused, and so is a file without rows."""
    rows = flawed = 0
    for reported in usage:
        row = {name: value for name, value in reported.fields.items() if value is not None and value != ""}
        _, unkept = _body_of(row)
        if not (reported.skipped or reported.unreadable or unkept):
            flawed += not isinstance(examine(row, bounds), Used)
        rows += 1
    if flawed or not rows:
        raise Refused
    return rows


@contextmanager
def _cloudevents(folder: Path) -> Iterator[Opened]:
    lines = b"".join(json.dumps(EVENT | {"id": str(number)}).encode() + b"\n" for number in range(3))
    valid = [lines, json.dumps([EVENT, EVENT], indent=1).encode(), json.dumps(EVENT).encode()]

    def change(mutator: Mutator, chosen: bytes) -> bytes:
        event = json.dumps(EVENT).encode()
        if mutator.one_in(3):
            return mutator.bytes_of(chosen)
        return lines + mutator.json_of(event) + b"\n" if mutator.one_in(2) else b"[" + mutator.json_of(event) + b"]"

    yield valid, _any(valid, change), _usage_reader(folder, ".json", "cloudevents")


@contextmanager
def _opentelemetry(folder: Path) -> Iterator[Opened]:
    valid = [json.dumps(EXPORT).encode()]
    yield valid, _any(valid, Mutator.json_of), _usage_reader(folder, ".json", "opentelemetry")


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(BILL), extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "surrogatepass")


def _mutated_bill(mutator: Mutator, chosen: bytes) -> bytes:
    if mutator.one_in(2):
        return mutator.bytes_of(chosen)
    cells = {mutator.random.choice(list(BILL)): mutator.hostile_text() for _ in range(mutator.random.choice((1, 2, 4)))}
    return _csv([BILL, BILL | {"RegionId": "westus3"} | cells])


@contextmanager
def _focus(folder: Path) -> Iterator[Opened]:
    valid = [_csv([BILL]), _csv([BILL, BILL | {"RegionId": "westus3"}])]
    yield valid, _any(valid, _mutated_bill), _usage_reader(folder, ".csv", "focus")


def _bill_text() -> bytes:
    costs = dict.fromkeys(("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"), "1.5")
    charged = (
        BILL
        | costs
        | {
            "ChargeClass": "",
            "BillingCurrency": "USD",
            "BillingPeriodStart": "2026-05-01T00:00:00Z",
            "BillingPeriodEnd": "2026-06-01T00:00:00Z",
        }
    )
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(charged))
    writer.writeheader()
    writer.writerows([charged, charged | {"ChargeCategory": "Tax"}, charged | {"ChargeClass": "Correction"}])
    return text.getvalue().encode()


@contextmanager
def _bills(folder: Path) -> Iterator[Opened]:
    valid, path = [_bill_text()], folder / "bill.csv"

    def read(content: bytes) -> object:
        path.write_bytes(content)
        return read_bill(path, NAMES)

    yield valid, _any(valid, Mutator.bytes_of), read


def _parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), sink, compression="snappy")
    return sink.getvalue()


def _own_row(row: Mapping[str, Any], wrong: str) -> Reported:
    """Without the column that follows from another, which no row gives."""
    return Reported(line=1, fields={name: row[name] for name in row if name != "event_day"}, unreadable=wrong)


@contextmanager
def _own_parquet(_: Path) -> Iterator[Opened]:
    """As the process that reads such files reads them, but here: a process for each input takes too long."""
    bounds = _bounds()
    valid = [_parquet([OWN, OWN | {"attempt": 2}]), _parquet([OWN | {"attempt": n} for n in range(1, 40)])]

    def change(mutator: Mutator, chosen: bytes) -> bytes:
        if mutator.one_in(2):
            return mutator.bytes_of(chosen)
        row = {**OWN, mutator.random.choice(list(OWN)): mutator.hostile_value()}
        with contextlib.suppress(pa.ArrowException, ValueError, TypeError, OverflowError):
            return _parquet([row])
        return mutator.bytes_of(chosen)

    def read(content: bytes) -> object:
        try:
            with pq.ParquetFile(io.BytesIO(content), pre_buffer=False) as file:
                rows = (row for batch in batches(file, WINDOW_ROWS) for row in rows_of_batch(batch))
                return _examined((_own_row(row, wrong) for row, wrong in rows), bounds)
        except (pa.ArrowException, OSError, UnicodeDecodeError, TooLarge):
            raise Refused from None

    yield valid, _any(valid, change), read


@contextmanager
def _question_files(folder: Path) -> Iterator[Opened]:
    """Files of questions: the first line of an input is its ending."""
    question = {"action": "serve", "party": "openai", "product": "gpt-5.5", "cloud": "aws", "as_of": "2026-05-01"}
    rows = [question, {**question, "cloud": "azure"}]
    text = ",".join(question) + "\n" + "".join(",".join(row.values()) + "\n" for row in rows)
    valid = [b".jsonl\n" + b"".join(json.dumps(row).encode() + b"\n" for row in rows), b".csv\n" + text.encode()]

    def change(mutator: Mutator, chosen: bytes) -> bytes:
        ending, _, content = chosen.partition(b"\n")
        return ending + b"\n" + mutator.bytes_of(content)

    def read(content: bytes) -> object:
        ending, _, rest = content.partition(b"\n")
        path = folder / f"questions{ending.decode('ascii', 'replace')}"
        path.write_bytes(rest)
        with refused_as_a_whole(path):
            return sum(part.count for part in read_questions(path)())

    yield valid, _any(valid, change), read


@contextmanager
def _listings(_: Path) -> Iterator[Opened]:
    header = "provider,model,committed_at,commit,event,input_usd_per_mtok,output_usd_per_mtok,"
    header += "cache_read_usd_per_mtok,open_weights\n"
    row = "azure,gpt-5.5,2026-04-28T10:00:00Z,abc,{},5,30,0.5,false\n"
    valid = [(header + row.format("listed") + row.format("price")).encode()]
    yield (
        valid,
        _any(valid, Mutator.bytes_of),
        lambda content: read_listings("listings.csv", content.decode("utf-8", "replace")),
    )


# Journals


def _payload(number: int) -> bytes:
    intent = Intent(RequestId(1, number), 1, 1777716000000000000, 1777716000000000001, 1, 2, 3, 1, 100, 50, 1000)
    record = UsageRecord(
        RequestId(1, number),
        1,
        1777716000000000000,
        1777716000000000002,
        1,
        2,
        3,
        1,
        Status.COMPLETE,
        200,
        False,
        9,
        10,
        11,
        ((Unit.INPUT_TOKENS, 12), (Unit.OUTPUT_TOKENS, 5)),
        "up",
    )
    begun = layout.pack_intent(
        intent.request.boot,
        intent.request.number,
        intent.attempt,
        intent.event_ns,
        intent.recorded_ns,
        intent.buyer,
        intent.deployment,
        intent.ruling,
        intent.endpoint,
        intent.body_bytes,
        intent.output_tokens_max,
        intent.reserved_picodollars,
    )
    labels = b""
    if number == 0:
        named = ((1, settled_book.BUYERS[1]), (2, settled_book.DEPLOYMENTS[1]), (3, settled_book.RULINGS[1]))
        labels = b"".join(layout.pack_label(code, label) for code, label in named)
    return labels + begun + layout.pack_usage(record)


def _segment(frames: int, closed: bool = False) -> bytes:
    header = layout.pack_segment_header(bytes(16), 1, 1777716000000000000, 1)
    unpacked = layout.unpack_segment_header(header)
    assert unpacked is not None
    parts = [header]
    for number in range(frames):
        payload = _payload(number)
        parts += [layout.pack_frame_header(payload, number, 2, 3 if number == 0 else 0, unpacked.checksum), payload]
    if closed:
        parts.append(layout.pack_frame_header(b"", frames, 0, 0, unpacked.checksum))
    return b"".join(parts)


@contextmanager
def _frames(folder: Path) -> Iterator[Opened]:
    """A segment of a journal, the only one or the first of two."""
    valid = [_segment(1), _segment(6), _segment(6, closed=True), _segment(40)]
    journal = folder / "spool"
    journal.mkdir()
    first = segment_path(journal, 1)

    def read(content: bytes) -> object:
        first.write_bytes(content)
        places = positions(journal)
        for place in places:
            batch = read_frames(journal, place.segment, 0, 1 << 40)
            list(batch.entries())
        open_attempts(journal)
        extents(journal)
        if not any(place.end for place in places):
            raise Refused
        return places

    yield valid, _any(valid, Mutator.bytes_of), read


@contextmanager
def _copies(_: Path) -> Iterator[Opened]:
    """The bytes between a gateway and its follower. A message whose code was made for it gets past the code."""
    secret, prefaces = b"s" * 32, pack_preface(b"1" * 32) + pack_preface(b"2" * 32)
    bodies = [
        (MessageKind.APPEND, pack_append(1, 64, 3, _segment(2))),
        (MessageKind.RELEASE, bytes(8)),
        (MessageKind.PING, b""),
    ]

    def sealed(messages: Sequence[tuple[MessageKind, bytes]]) -> bytes:
        writer = Channel(secret, prefaces, is_writer=True)
        return b"".join(writer.seal(kind, body) for kind, body in messages)

    valid = [pack_preface(b"1" * 32) + sealed(bodies), pack_preface(b"1" * 32) + sealed(bodies[1:])]

    def change(mutator: Mutator, chosen: bytes) -> bytes:
        if mutator.one_in(2):
            return mutator.bytes_of(chosen)
        return pack_preface(b"1" * 32) + sealed([(kind, mutator.bytes_of(body)) for kind, body in bodies])

    def read(content: bytes) -> object:
        size = len(pack_preface(b"1" * 32))
        check_preface(content[:size])
        channel = Channel(secret, prefaces, is_writer=False)
        for kind, body in channel.feed(content[size:]):
            if kind == MessageKind.APPEND:
                unpack_append(body)
            elif kind == MessageKind.RELEASE:
                unpack_release(body)
        return channel

    yield valid, _any(valid, change), read


# Statements, packs, backups, receipts


def _fitted_pack(parts: dict[str, bytes]) -> bytes:
    """A pack whose manifest fits its parts, as a forger writes it."""
    manifest = json.loads(parts["manifest.json"])
    for part in manifest["parts"]:
        content = parts.get(part["name"], b"")
        part["bytes"], part["digest"] = len(content), hashlib.sha256(content).hexdigest()
    parts["manifest.json"] = _as_packed(json.dumps(manifest).encode())
    return _zipped(parts)


def _as_packed(document: bytes) -> bytes:
    """A JSON document as packs have it, where it is one: any other writing is refused unread."""
    try:
        return msgspec.json.encode(msgspec.json.decode(document), order="sorted") + b"\n"
    except (ValueError, RecursionError):
        return document


def _zipped(parts: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in parts.items():
            entry = zipfile.ZipInfo(name, pack_layout.EPOCH)
            entry.external_attr, entry.create_system = pack_layout.MODE, pack_layout.UNIX
            archive.writestr(entry, content)
    return out.getvalue()


_FITTED_ONE_IN = 120  # one that gets to the books takes some 80 ms


@contextmanager
def _usage_read_here() -> Iterator[None]:
    """Let usage of packs be read as the process that reads such files reads it, but here: a process for each input
    takes too long."""

    @contextmanager
    def read_here(
        path: Path, rows: int, *, dictionaries: Sequence[str], within: Path
    ) -> Iterator[parquet_reading.OthersParquet]:
        def each(file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
            try:
                yield from batches(file, rows)
            except TooLarge as error:
                raise InvalidInput(
                    Problem(what="too large", why=str(error), where=str(within), remedy="Write it smaller.")
                ) from None

        with opened(path, dictionaries) as file:
            yield parquet_reading.OthersParquet(file.metadata.num_rows, file.schema_arrow, each(file))

    before = packing.others_parquet  # type: ignore[attr-defined]
    packing.others_parquet = read_here  # type: ignore[assignment, attr-defined]
    try:
        yield
    finally:
        packing.others_parquet = before  # type: ignore[attr-defined]


@contextmanager
def _packs(folder: Path) -> Iterator[Opened]:
    home = settled_book.make(folder / "home")
    packing.pack_month(home, "2026-04", folder / "valid.pack")
    packing.pack_month(home, "2026-05", folder / "sums.pack", sums=True)
    valid = [(folder / "valid.pack").read_bytes(), (folder / "sums.pack").read_bytes()]
    path = folder / "any.pack"

    def change(mutator: Mutator, chosen: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(chosen)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        drawn = mutator.random.randrange(_FITTED_ONE_IN)
        name = mutator.random.choice(sorted(parts))
        if drawn == 0:
            is_json = name.endswith(".json")
            made = _as_packed(mutator.json_of(parts[name])) if is_json else mutator.bytes_of(parts[name])
            return _fitted_pack(parts | {name: made}) if name != "manifest.json" else _zipped(parts | {name: made})
        # Manifest, statement and days are read before the books; a pack of which all can be read is repeated.
        ending = {} if mutator.one_in(20) else {"books.json": b"{"}
        if drawn < _FITTED_ONE_IN // 3:
            manifest = _as_packed(mutator.json_of(parts["manifest.json"]))
            return _zipped(parts | {"manifest.json": manifest} | ending)
        if drawn < _FITTED_ONE_IN // 2:
            name = mutator.random.choice(("statement.json", "days.json"))
            return _fitted_pack(parts | {name: _as_packed(mutator.json_of(parts[name]))} | ending)
        return mutator.bytes_of(chosen)

    def read(content: bytes) -> object:
        path.write_bytes(content)
        return packing.verify_pack(path)

    with _usage_read_here():
        yield valid, _any(valid, change), read


@contextmanager
def _statements(folder: Path) -> Iterator[Opened]:
    """Statements and the signatures under them."""
    home = settled_book.make(folder / "home")
    packing.pack_month(home, "2026-05", folder / "valid.pack")
    with zipfile.ZipFile(folder / "valid.pack") as archive:
        statement = archive.read("statement.json")
    path = folder / "any.json"
    path.write_bytes(statement)
    handed = read_statement(path).statement
    assert handed is not None
    signed = json.loads(written(unsigned(handed)))
    signature = {"party": "openai", "role": "signed", "at": "2026-06-01T00:00:00Z", "key": "a" * 44}
    signed["signatures"] = [signature | {"signature": "b" * 88}]
    valid = [statement, json.dumps(signed).encode()]

    def read(content: bytes) -> object:
        path.write_bytes(content)
        with contextlib.suppress(InvalidInput):
            return read_signatures(path)
        given = read_statement(path)
        if given.statement is not None:
            canonical_bytes(given.statement)
        return given

    yield valid, _any(valid, Mutator.json_of), read


@contextmanager
def _keys_of_parties(folder: Path) -> Iterator[Opened]:
    valid = [b'{"openai": ["' + b"a" * 44 + b'"], "microsoft": []}']
    home = Home(folder / "home").make()

    def read(content: bytes) -> object:
        (home.root / "party-keys.json").write_bytes(content)
        keys = read_key_file(home)
        if isinstance(keys, str):
            raise Refused
        return keys

    yield valid, _any(valid, Mutator.json_of), read


@contextmanager
def _backups(folder: Path) -> Iterator[Opened]:
    """Three files of a backup, each after its length; one of length 0 is as it was written, and the list of digests
    then fits the other two. Of those that are looked at, some are restored."""
    home = settled_book.make(folder / "home")
    root = folder / "backup"
    backing_up.back_up(home, root)
    names = ("SHA256SUMS", "backup.json", "control.db")
    written_files = {name: (root / name).read_bytes() for name in names}

    def packed(**parts: bytes) -> bytes:
        pieces = [parts.get(name.partition(".")[0], b"") for name in names]
        return b"".join(len(piece).to_bytes(4, "big") + piece for piece in pieces)

    def make(mutator: Mutator) -> bytes:
        drawn = mutator.random.randrange(100)
        if drawn < 40:
            return packed(SHA256SUMS=mutator.bytes_of(written_files["SHA256SUMS"]))
        if drawn < 98:
            return packed(backup=mutator.json_of(written_files["backup.json"]))
        return packed(control=mutator.bytes_of(written_files["control.db"]))

    def read(content: bytes) -> object:
        parts, at = dict(written_files), 0
        given = []
        for name in names:
            size = int.from_bytes(content[at : at + 4], "big")
            if size:
                parts[name] = content[at + 4 : at + 4 + size]
                given.append(name)
            at += 4 + size
        if "SHA256SUMS" not in given:
            for name in given:
                then, now = (hashlib.sha256(files[name]).hexdigest().encode() for files in (written_files, parts))
                parts["SHA256SUMS"] = parts["SHA256SUMS"].replace(then, now)
        for name, part in parts.items():
            (root / name).write_bytes(part)
        looked = backups.look_at(root)
        target = Home(folder / "restored")
        try:
            restoring.restore(root, target)
        finally:
            shutil.rmtree(target.root, ignore_errors=True)
        return looked

    yield [packed()], make, read


@contextmanager
def _receipts(_: Path) -> Iterator[Opened]:
    from in_process import answer  # noqa: PLC0415  # loads the commands

    asked = ("--action", "serve", "--party", "openai", "--product", "gpt-5.5", "--as-of", "2026-05-01")
    valid = [json.dumps(answer("decide", *asked, "--cloud", cloud)).encode() for cloud in ("aws", "azure")]
    yield valid, _any(valid, Mutator.json_of), lambda content: verify(OPENED, read_explanation("receipt", content))


# Plans


@contextmanager
def _plans(folder: Path) -> Iterator[Opened]:
    """A plan that opens can also be served by: the tables of a gateway are made of it."""
    with Rig(folder) as rig:
        rig.cloud("azure")
        plan = rig.plan()
        rig.write_plan(plan)
        one_line = (folder / "plan.json").read_bytes()
    parts = b"".join(encode_plan(plan))
    path = folder / "any.json"

    def change(mutator: Mutator, chosen: bytes) -> bytes:
        if chosen is one_line:
            return mutator.json_of(chosen)
        lines = chosen.splitlines(keepends=True)
        at = mutator.random.randrange(len(lines))
        return b"".join([*lines[:at], mutator.json_of(lines[at].rstrip()) + b"\n", *lines[at + 1 :]])

    def read(content: bytes) -> object:
        path.write_bytes(content)
        opened = whole(opening(read_pieces(path), str(path)))
        list(opened.limits)
        list(opened.budgets)
        return opened.keys.find(bytes(32))

    yield [one_line, parts], _any([one_line, parts], change), read


# What clouds answer


@contextmanager
def _clouds_answers(_: Path) -> Iterator[Opened]:
    """Whole answers and streams. The first byte says as what it is read."""
    chat = b"".join(content_events(with_nulls=True)) + USAGE_EVENT + DONE_EVENT
    messages = b"".join(
        b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), json.dumps(event).encode())
        for event in (
            {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 5, "output_tokens": 1}}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
            {"type": "message_stop"},
        )
    )
    framed = b"".join(chunk_frame(data_in(part)) for part in messages.split(b"\n\n") if part)
    response = json.dumps(
        {"type": "response.completed", "response": {"id": "r", "usage": {"input_tokens": 3, "output_tokens": 4}}}
    )
    typed = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"x"}\n\n'
    typed += b"event: response.completed\ndata: " + response.encode() + b"\n\n"
    streams: list[Callable[[], Any]] = [
        lambda: EventStream(strip_usage=True),
        lambda: EventStream(strip_usage=False),
        lambda: TypedStream(reports.responses_report_in),
        MessageStream,
        FramedMessageStream,
    ]
    readers: list[reports.Reader] = [
        reports.chat_report_in,
        reports.responses_report_in,
        reports.embeddings_report_in,
        reports.images_report_in,
        reports.messages_report_in,
        reports.speech_report_in,
        reports.audio_report_in,
    ]
    valid = [b"w" + ANSWER, b"0" + chat, b"1" + chat, b"2" + typed, b"3" + messages, b"4" + framed]

    def change(mutator: Mutator, chosen: bytes) -> bytes:
        kind, content = chosen[:1], chosen[1:]
        return kind + (mutator.json_of(content) if kind == b"w" else mutator.bytes_of(content))

    def read(content: bytes) -> object:
        kind, rest = content[:1], content[1:]
        if kind == b"w":
            for report_in in readers:
                report_in(rest, {})
            _ = CloudAnswer(status=400, body=rest, request_id="", duration_ms=1).said
            expiry_s(f"a.{base64.urlsafe_b64encode(rest).decode()}.b")
            return [is_answer(rest) for is_answer in IS_ANSWER.values()]
        stream = streams[int(kind)]()
        for begin in range(0, len(rest), max(len(rest) // 3, 1)):
            stream.feed(rest[begin : begin + max(len(rest) // 3, 1)])
        stream.close()
        return stream.units

    yield valid, _any(valid, change), read


# HTTP


def _operations(document: str) -> list[tuple[str, str, list[str]]]:
    """Of an OpenAPI document: each method and path, and the media types of its body."""
    paths = json.loads((ROOT / "docs/openapi" / document).read_text())["paths"]
    return [
        (method.upper(), path, list(operation.get("requestBody", {}).get("content", {})))
        for path, methods in paths.items()
        for method, operation in methods.items()
        if method != "parameters"
    ]


_BODIES = (
    chat_body(),
    chat_body(stream=True),
    chat_body(stream=True, stream_options={"include_usage": True}, max_tokens=5),
    json.dumps({"model": MODEL, "input": "x", "previous_response_id": "resp_1", "metadata": {"a": "b"}}).encode(),
    json.dumps(
        {
            "model": MODEL,
            "max_tokens": 9,
            "system": [{"type": "text", "text": "x"}],
            "messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "x"}}]}],
        }
    ).encode(),
    json.dumps({"model": MODEL, "prompt": "x", "n": 2, "size": "1024x1024", "voice": "v", "input": ["a"]}).encode(),
    json.dumps({"input_file_id": "file_1", "endpoint": "/v1/chat/completions", "completion_window": "24h"}).encode(),
)
_LINE = json.dumps({"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": json.loads(chat_body())})
_FORM = (
    '--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    f'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n{MODEL}\r\n'
    '--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n'
    f"Content-Type: application/octet-stream\r\n\r\n{_LINE}\r\n--b--\r\n"
).encode()


def _request(method: str, path: str, media: str, body: bytes, *headers: str, length: str = "") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {SECRET}", *headers]
    if body or method == "POST":
        lines += [f"Content-Type: {media}", f"Content-Length: {length or len(body)}"]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("utf-8", "surrogatepass") + body


async def _cloud(connection: Connection, request: Received) -> None:
    """Answers chats; of anything else it says that it does not know it."""
    if b"/chat/completions HTTP" not in request.head.partition(b"\r\n")[0]:
        connection.answer(404, b'{"error":{"message":"no such thing","code":"unknown"}}')
    elif b'"stream":true' in request.body.replace(b" ", b""):
        connection.begin_stream()
        connection.piece(b"".join(content_events(with_nulls=True)) + USAGE_EVENT + DONE_EVENT)
        connection.end_stream()
    else:
        connection.answer(200, ANSWER)


class _Gateway:
    """A gateway in a process of its own: it must live on, answer nothing with 500, and print no traceback."""

    def __init__(self, folder: Path) -> None:
        self.rig = Rig(folder)
        self.cloud = self.rig.cloud("azure", _cloud)
        # It ends with this process, however that ends: so does the pipe.
        ours, self._pipe = os.pipe()
        self.rig.start(None, "--parent-pipe", str(ours), launcher=GATEWAY, pass_fds=(ours,))
        os.close(ours)
        self.errors = folder / "gateway.err"
        self.said = 0
        self.first_mb = self._resident_mb()

    def read(self, content: bytes) -> object:
        answers = self.answers(content)
        if b"HTTP/1.1 500" in answers:
            raise RuntimeError(f"a failure of ours: {answers[:300]!r}")
        if b"HTTP/1.1 2" not in answers:
            raise Refused
        return answers

    def answers(self, content: bytes) -> bytes:
        """All that it says to an input. Raise RuntimeError if it ended, failed or grew."""
        self.cloud.requests.clear()
        with self.rig.socket() as connection:
            with contextlib.suppress(OSError):  # it was refused before its end
                connection.sendall(content)
                connection.shutdown(1)
            answers = read_all(connection)
        assert self.rig.process is not None
        if self.rig.process.poll() is not None:
            raise RuntimeError(f"the gateway ended: {self.rig.errors()[-400:]}")
        if self.errors.stat().st_size != self.said:
            said, self.said = self.rig.errors()[self.said :], self.errors.stat().st_size
            if "Traceback" in said:
                raise RuntimeError(f"the gateway says: {said[-1500:]}")
        if (grown := self._resident_mb() - self.first_mb) > 200:
            raise RuntimeError(f"the gateway grew by {grown:.0f} MB")
        return answers

    def _resident_mb(self) -> float:
        assert self.rig.process is not None
        try:
            pages = int(Path(f"/proc/{self.rig.process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _filled(path: str, mutator: Mutator) -> str:
    """The address with a name in each place, now and then a hostile one; and a question behind it."""
    while "{" in path:
        before, _, rest = path.partition("{")
        name = mutator.hostile_text() if mutator.one_in(2) else "resp_1"
        if mutator.one_in(2):
            name = "".join(f"%{byte:02x}" for byte in name.encode("utf-8", "surrogatepass"))[:3000]
        path = before + name.replace("{", "").replace("}", "")[:3000] + rest.partition("}")[2]
    if mutator.one_in(4):
        name = mutator.random.choice(("limit", "after", "from", "until", "api-version", "order", "x"))
        path += f"?{name}={mutator.hostile_text()[:500]}"
    return path


@contextmanager
def _gateway(folder: Path) -> Iterator[Opened]:
    gateway = _Gateway(folder)
    operations = _operations("gateway.json")
    valid = [
        _request("POST", "/v1/chat/completions", "application/json", _BODIES[0]),
        _request("GET", "/v1/models", "", b""),
        _request("POST", "/v1/files", "multipart/form-data; boundary=b", _FORM),
        _request("POST", "/v1/responses", "application/json", _BODIES[3], "Connection: close"),
    ]
    headers = (
        "Content-Encoding: gzip",
        "Transfer-Encoding: chunked",
        "Expect: 100-continue",
        "Connection: close",
        "Upgrade: websocket",
        "Cookie: a=b",
        "Authorization: Bearer x",
        "Accept: */*",
    )

    def make(mutator: Mutator) -> bytes:
        if mutator.one_in(3):
            return mutator.bytes_of(mutator.random.choice(valid))
        method, path, media = mutator.random.choice(operations)
        more = [mutator.random.choice(headers)] if mutator.one_in(6) else []
        if mutator.one_in(10):
            more.append(f"X-{mutator.hostile_text()[:300]}: {mutator.hostile_text()[:9000]}")
        if not media:
            return _request(method, _filled(path, mutator), "", b"", *more)
        chosen = mutator.random.choice(media)
        if chosen == "multipart/form-data":
            return _request(
                method, _filled(path, mutator), "multipart/form-data; boundary=b", mutator.bytes_of(_FORM), *more
            )
        body = mutator.json_of(mutator.random.choice(_BODIES))
        length = mutator.hostile_text()[:100] if mutator.one_in(50) else ""
        return _request(method, _filled(path, mutator), chosen, body, *more, length=length)

    with gateway.rig:
        yield valid, make, gateway.read


_HANDSHAKE = (
    f"GET /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n"
    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
_OFFERS_COMPRESSION = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_FIN, _RESERVED, _MASKED = 0x80, (0x40, 0x20, 0x10), 0x80
_MESSAGES = tuple(
    json.dumps({"type": kind, "model": MODEL, "input": "Hello.", **members}).encode()
    for kind, members in (
        ("response.create", {"generate": False}),
        ("response.create", {"stream_id": "1", "store": False}),
        ("response.create", {"input": [{"role": "user", "content": [{"type": "input_text", "text": "é"}]}]}),
        ("response.steer", {"previous_response_id": "resp_1"}),
    )
)


def _frame(
    opcode: int, payload: bytes, *, first: int = _FIN, masked: bool = True, width: int = 0, length: int = -1
) -> bytes:
    """A frame of RFC 6455. `width` bytes tell the length, in the place of the fewest; `length` may be a lie."""
    length = len(payload) if length < 0 else length
    width = width or (0 if length < 126 else 2 if length < 1 << 16 else 8)
    short = {0: min(length, 125), 2: 126, 8: 127}[width]
    head = bytes([first | opcode, (_MASKED if masked else 0) | short]) + (length % (1 << 8 * width)).to_bytes(
        width, "big"
    )
    if not masked:
        return head + payload
    mask = b"\x5a\x00\xa5\xff"
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def _fragments(mutator: Mutator, payload: bytes) -> list[bytes]:
    """The frames of a message: whole, or cut anywhere, within a character too, with control frames between them."""
    cuts = sorted(mutator.random.randrange(len(payload) + 1) for _ in range(mutator.random.choice((0, 0, 1, 2, 30))))
    pieces = [payload[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
    frames = []
    for number, piece in enumerate(pieces):
        first = _FIN if number == len(pieces) - 1 else 0
        frames.append(_frame(_CONTINUATION if number else _TEXT, piece, first=first))
        if mutator.one_in(10):
            frames.append(_frame(mutator.random.choice((_PING, _PONG)), b"x" * mutator.random.choice((0, 1, 125))))
    return frames


def _odd_frame(mutator: Mutator) -> bytes:
    """A frame that may be wrong in any field: opcode, reserved bits, mask, the length and how it is written."""
    random = mutator.random
    opcode = random.choice((_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG, random.randrange(16)))
    payload = random.choice(
        (b"", b"\x03\xe8", b"\x03\xe8bye", b"\xff", random.randbytes(random.choice((1, 2, 126, 70_000))))
    )
    first = random.choice((_FIN, _FIN, 0)) | (random.choice(_RESERVED) if mutator.one_in(4) else 0)
    length = random.choice((0, 1, 126, 1 << 31, 1 << 62, (1 << 63) + 1)) if mutator.one_in(4) else -1
    width = 8 if length > 1 << 16 else random.choice((0, 0, 2, 8))
    return _frame(opcode, payload, first=first, masked=not mutator.one_in(4), width=width, length=length)


@contextmanager
def _web_socket(folder: Path) -> Iterator[Opened]:
    """Sessions over a WebSocket: a handshake and what comes behind it, at once and to its end."""
    gateway = _Gateway(folder)
    plain, compressing = (f"{_HANDSHAKE}{more}\r\n".encode() for more in ("", _OFFERS_COMPRESSION))
    ping = _frame(_PING, b"here?")
    valid = [
        plain + ping,
        compressing + ping,
        plain + b"".join(_frame(_TEXT, message) for message in _MESSAGES[:1]) + ping,
        plain + _frame(_TEXT, _MESSAGES[0][:20], first=0) + ping + _frame(_CONTINUATION, _MESSAGES[0][20:]),
        plain + ping + _frame(_TEXT, _MESSAGES[1]) + _frame(_CLOSE, b"\x03\xe8bye"),
    ]

    def make(mutator: Mutator) -> bytes:
        if mutator.one_in(4):
            return mutator.bytes_of(mutator.random.choice(valid))
        frames = [ping] if mutator.one_in(2) else []
        for _ in range(mutator.random.choice((1, 1, 2, 5))):
            message = mutator.random.choice(_MESSAGES)
            frames += _fragments(mutator, message if mutator.one_in(3) else mutator.json_of(message))
        if mutator.one_in(2):
            frames.insert(mutator.random.randrange(len(frames) + 1), _odd_frame(mutator))
        if mutator.one_in(10):
            mutator.random.shuffle(frames)
        return mutator.random.choice((plain, compressing)) + b"".join(frames)

    def read(content: bytes) -> object:
        head, _, frames = gateway.answers(content).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            raise Refused
        if b"extensions" in head.lower():
            raise RuntimeError(f"an extension was taken: {head!r}")
        return _heard(frames)

    with gateway.rig:
        yield valid, make, read


def _heard(data: bytes) -> list[Event]:
    """Return the events that a client hears. Raise Refused if it is refused, RuntimeError for a failure of ours."""
    client = Frames(ConnectionType.CLIENT)
    client.receive_data(data)
    events = list(client.events())
    for event in events:
        if isinstance(event, CloseConnection) and event.code == CloseReason.INTERNAL_ERROR:
            raise RuntimeError(f"a failure of ours: {event!r}")
        if isinstance(event, TextMessage) and json.loads(event.data)["type"] == "error":
            raise Refused
    refused = [event for event in events if isinstance(event, CloseConnection) and event.code not in _CLOSED_WELL]
    if refused or not events:
        raise Refused
    return events


# As the client asked, or as the session ends with the connection.
_CLOSED_WELL = (CloseReason.NORMAL_CLOSURE, CloseReason.GOING_AWAY)


# A question that a page answers, by the names of its form.
_ASKED = {
    "action": "serve",
    "party": "openai",
    "product": "gpt-5.5",
    "cloud": "aws",
    "as_of": "2026-05-01",
    "known_at": "2026-05-01",
    "document": "A5.md",
    "line": "20",
    "suppose": "milestone=2027-01-01",
}


def _query(names: Sequence[str], mutator: Mutator) -> str:
    """Most of the names of a form with a right value, some with a hostile one, some twice."""
    asked = [(name, _ASKED[name]) for name in names if name in _ASKED and not mutator.one_in(10)]
    for _ in range(mutator.random.choice((0, 1, 1, 2))):
        asked.append((mutator.random.choice(names), mutator.hostile_text()[:3000]))
    mutator.random.shuffle(asked)
    return "&".join(f"{name}={quote(value.encode('utf-8', 'surrogatepass'))}" for name, value in asked)


@contextmanager
def _pages(folder: Path) -> Iterator[Opened]:
    """Requests to the pages' application, as its server hands them on. An answer of 500 is a failure of ours."""
    home = settled_book.make(folder / "home")
    app = create_app(HomePages(home, open_agreements([]), system_clock, "http://127.0.0.1/v1"))
    loop = asyncio.new_event_loop()
    operations = _operations("pages.json")
    questions = {page.path: page.query for page in PAGES}
    # A screen that takes no question is made whole and says the same each time: it takes some 30 ms, as launches do.
    whole = {page.path for page in PAGES if page.path == page.screen and not page.query} | {"/auditor/launches"}
    shares = [each for each in operations for _ in range(1 if each[1] in whole else 10)]
    paths = ("/healthz", "/lawyer", "/statement/2026-05", "/counts.json", "/nothing")
    valid = [
        json.dumps({"method": "GET", "path": path, "query": "", "headers": {"host": "127.0.0.1"}}).encode()
        for path in paths
    ]

    def make(mutator: Mutator) -> bytes:
        method, path, _ = mutator.random.choice(shares)
        address, _, query = _filled(path, mutator).partition("?")
        if names := questions.get(path, ()):
            query = _query(names, mutator)
        headers = {"host": "127.0.0.1"}
        if mutator.one_in(5):
            headers[mutator.random.choice(("host", "accept", "cookie", "range", "if-none-match"))] = (
                mutator.hostile_text()[:500]
            )
        method = mutator.random.choice((method, method, method, "HEAD", "POST", "OPTIONS", mutator.hostile_text()[:20]))
        # The month itself is drawn by hundreds of others: a page takes some 10 ms.
        month = "2026-05" if mutator.one_in(20) else "2026-07"
        return json.dumps(
            {"method": method, "path": address.replace("resp_1", month), "query": query, "headers": headers}
        ).encode()

    def read(content: bytes) -> object:
        asked = json.loads(content)
        return _answered(loop, app, asked["method"], asked["path"], asked["query"], asked["headers"], b"")

    yield valid, make, read
    loop.close()


def _answered(
    loop: asyncio.AbstractEventLoop,
    app: ASGIApp,
    method: str,
    path: str,
    query: str,
    headers: dict[str, str],
    body: bytes,
) -> list[Any]:
    """Return the application's events. Raise Refused for its refusals, RuntimeError for a failure of ours."""
    begun: list[Any] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        begun.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "surrogatepass"),
        "query_string": query.encode("utf-8", "surrogatepass"),
        "root_path": "",
        "headers": [(name.encode(), value.encode("utf-8", "replace")) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 1),
    }
    loop.run_until_complete(app(scope, receive, send))
    if begun[0]["status"] == 500:
        raise RuntimeError("a failure of ours")
    if begun[0]["status"] >= 400:
        raise Refused
    return begun


_PASTED = b"\n--- pasted ---\n"


@contextmanager
def _forms(folder: Path) -> Iterator[Opened]:
    """Texts that people paste into the pages: drafts, bills, decisions, statements and signatures. The first line of an
    input is the address and the names of its fields; the texts follow, between lines of their own."""
    from in_process import answer  # noqa: PLC0415  # loads the commands

    home = settled_book.make(folder / "home")
    app = create_app(HomePages(home, open_agreements([]), system_clock, "http://127.0.0.1/v1"))
    loop = asyncio.new_event_loop()
    packing.pack_month(home, "2026-05", folder / "valid.pack")
    with zipfile.ZipFile(folder / "valid.pack") as archive:
        statement = archive.read("statement.json")
    decision = answer("decide", "--action", "serve", "--party", "openai", "--product", "gpt-5.5", "--cloud", "aws")
    draft = (resources.files("clauseway.agreement.builtin") / "openai-microsoft" / "A5.md").read_bytes()
    # A bill of May is held against the usage of thousands; in July there is none.
    bill = _bill_text()
    in_july = bill.replace(b"2026-06", b"2026-08").replace(b"2026-05", b"2026-07")
    pasted = {
        ("/lawyer/draft", ("draft",)): [draft],
        ("/finance/bill", ("bill",)): [bill],
        ("/auditor/decision", ("receipt",)): [json.dumps(decision).encode()],
        ("/auditor/handed", ("statement", "signatures")): [statement, b"[]"],
    }
    assert {page.path for page in PAGES if page.form} == {path for path, _ in pasted}
    valid = [_PASTED.join([" ".join((path, *names)).encode(), *texts]) for (path, names), texts in pasted.items()]
    valid.append(_PASTED.join((b"/finance/bill bill", in_july)))
    # Bills and drafts take some 50 ms and have readers of their own; the forms of the auditor take 4 ms.
    shares = valid + [content for content in valid if content.startswith(b"/auditor")] * 32

    def change(mutator: Mutator, chosen: bytes) -> bytes:
        if mutator.one_in(20):
            return mutator.bytes_of(chosen)  # the address too
        head, *texts = chosen.split(_PASTED)
        at = mutator.random.randrange(len(texts))
        texts[at] = mutator.json_of(texts[at]) if texts[at][:1] in b"[{" else mutator.bytes_of(texts[at])
        return _PASTED.join([head, *texts])

    def read(content: bytes) -> object:
        head, *texts = content.split(_PASTED)
        # Bytes of an address that are no UTF-8, servers replace before the pages see them.
        path, *names = head.decode("utf-8", "replace").split(" ")
        body = urlencode(dict(zip(names, texts, strict=False))).encode()
        headers = {"host": "127.0.0.1", "content-type": "application/x-www-form-urlencoded"}
        return _answered(loop, app, "POST", path, "", headers, body)

    yield valid, _any(shares, change), read
    loop.close()


READERS: Mapping[str, Reader] = {
    reader.name: reader
    for reader in (
        # Those that take longest come first: two processes then end together.
        Reader("forms", "texts pasted into forms of the pages", _forms, (Refused,), in_suite=60, is_asked=True),
        Reader("packs", "packs of statements", _packs, in_suite=60),
        Reader("agreement", "documents of an agreement", _agreements, in_suite=60),
        Reader("litellm", "configurations of LiteLLM", _litellm, in_suite=100),
        Reader("pages", "HTTP of the pages, by their OpenAPI document", _pages, (Refused,), is_asked=True),
        Reader("backups", "backups", _backups, in_suite=100),
        Reader("gateway", "HTTP of the gateway, by its OpenAPI document", _gateway, (Refused,), is_asked=True),
        Reader("web-socket", "sessions with the gateway over a WebSocket", _web_socket, (Refused,), is_asked=True),
        Reader("facts", "registers of facts, suppositions", _facts),
        Reader("configuration", "`clauseway.toml`", _configurations),
        Reader("books", "price books", _books),
        Reader("rates", "exchange rates", _rates),
        Reader("listings", "listings of models", _listings),
        Reader("questions", "files of questions: JSON lines, CSV", _question_files),
        Reader("cloudevents", "usage as CloudEvents", _cloudevents, (InvalidInput, Refused)),
        Reader("opentelemetry", "usage as OTLP in JSON", _opentelemetry, (InvalidInput, Refused)),
        Reader("focus", "usage in bills (FOCUS)", _focus, (InvalidInput, Refused)),
        Reader("parquet", "usage in Parquet", _own_parquet, (InvalidInput, Refused)),
        Reader("bills", "bills to reconcile (FOCUS)", _bills),
        Reader("frames", "segments of journals", _frames, (Refused,)),
        Reader("copies", "messages between a gateway and its follower", _copies, (BadMessage,)),
        Reader("plans", "plans", _plans),
        Reader("answers", "clouds' answers and streams", _clouds_answers, (BadStream,)),
        Reader("statements", "statements, and signatures under them", _statements),
        Reader("party-keys", "`party-keys.json`", _keys_of_parties, (Refused,)),
        Reader("receipts", "receipts of decisions", _receipts),
    )
}
