"""A month in one file: performed again by a stranger, to the byte; and files that somebody tampered with."""

import base64
import csv
import gzip
import hashlib
import io
import json
import shutil
import sqlite3
import struct
import zipfile
from collections.abc import Callable
from contextlib import closing
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import settled_book
from clauseway.agreement.language.shares import PaymentTerm
from clauseway.app.opening.home import Home
from clauseway.app.reports import packing
from clauseway.app.reports.pack_layout import EPOCH, MODE, UNIX, flaw_of_layout
from clauseway.app.reports.verifying import repeat
from clauseway.ledger import Settlement, Statement, StatementChange, corrected, statement_of
from clauseway.ledger.statement import canonical_bytes
from clauseway.metering import Unit
from clauseway.storage.books import handed_over
from clauseway.storage.usage.past import copied
from in_process import answer, run

FACTS = "facts.md"
ASSUMED = [part for name in settled_book.ACCEPTED for part in ("--assume", name)]


def did(home: Path, *words: str, code: int = 0) -> str:
    done = run(*words, "--home", str(home))
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """April closed; late usage of April corrected in May; a credit."""
    home = Home(tmp_path_factory.mktemp("ours") / "home").make()
    settled_book.seal(home)
    did(home.root, "settle", "--period", "2026-04", *ASSUMED)
    did(home.root, "books", "close", "2026-04")
    settled_book.seal(home, [(12, "04-28", 9, 1, 2, (100_000, 0, 10_000))])
    did(
        home.root,
        "books",
        "credit",
        "--id",
        "c-1",
        "--request",
        settled_book.request(7),
        "--amount",
        "0.50",
        "--reason",
        "x",
    )
    did(home.root, "settle", "--period", "2026-05", *ASSUMED)
    return home.root


@pytest.fixture(scope="module")
def packs(ours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packs")
    did(ours, "statement", "pack", "2026-04", "--out", str(folder / "april.pack"))
    did(ours, "statement", "pack", "2026-05", "--out", str(folder / "may.pack"))
    did(ours, "statement", "pack", "2026-05", "--sums", "--out", str(folder / "sums.pack"))
    return folder


@pytest.mark.parametrize("name", ["april", "may"])
def test_a_stranger_performs_it_again_to_the_byte(packs: Path, tmp_path: Path, name: str) -> None:
    nowhere = tmp_path / "nowhere"
    done = answer("statement", "verify", str(packs / f"{name}.pack"), home=nowhere)
    assert done["repeated"]["same"]
    assert {line["verdict"] for line in done["repeated"]["lines"]} == {"the same"}
    assert not nowhere.exists()
    text = did(nowhere, "statement", "verify", str(packs / f"{name}.pack"))
    assert "the same, to the last byte" in text
    assert ("0.09  2026-04: gpt-5.4 on aws, sold by openai: the same" in text) is (name == "may")
    checked = answer("agreement", "check")["digest"]
    assert f"stands on the agreement {checked}: the same as this version ships" in text


def test_a_stranger_opens_each_line_of_a_pack(ours: Path, packs: Path, tmp_path: Path) -> None:
    """A pack has no journal; all else of a line is told as its own home tells it."""
    nowhere, may = tmp_path / "nowhere", str(packs / "may.pack")
    lines = answer("statement", "verify", may, home=nowhere)["repeated"]["lines"]
    for line in (line["line"] for line in lines):
        here = answer("statement", "explain", line, may, home=nowhere)
        assert here["entries"] == []
        assert here | {"entries": ()} == answer("statement", "explain", line, home=ours) | {"entries": ()}
    [request] = answer("statement", "explain", "2pa4zs7k", may, "--cent", "7", home=nowhere)["requests"]
    assert request["request_id"] == settled_book.request(9)
    text = did(nowhere, "statement", "explain", "2pa4zs7k", may)
    assert "As the pack says; whether it holds: clauseway statement verify" in text
    assert "Journal" not in text
    assert not nowhere.exists()


def test_a_pack_is_recounted_without_the_program(packs: Path) -> None:
    """By fractions, from what docs/statements.md says of the parts: each text's digest, each base, what is due."""
    with zipfile.ZipFile(packs / "april.pack") as archive:
        stated, books = json.loads(archive.read("statement.json")), json.loads(archive.read("books.json"))
        usage = pq.read_table(io.BytesIO(archive.read("usage.parquet"))).to_pylist()
    texts = {row["digest"]: gzip.decompress(base64.b64decode(row["body"])) for row in books["basis_texts"]}
    assert all(hashlib.sha256(text).hexdigest() == digest for digest, text in texts.items())
    held = {row["kind"]: json.loads(texts[row["digest"]]) for row in books["basis"] if row["kind"] != "assumption"}
    parts = [
        part.encode() for document in sorted(held["agreement"].items()) for part in document if document[0] != FACTS
    ]
    whole = b"".join(b"%d:%b" % (len(part), part) for part in parts)
    assert stated["inputs"]["agreement"] == hashlib.sha256(whole).hexdigest()

    book = texts[held["prices"][0]["text"]].decode().splitlines()
    prices = list(csv.DictReader(line for line in book if not line.startswith("#")))

    def charge(row: dict[str, Any], unit: str, tokens: int) -> Fraction:
        [price] = [
            Fraction(price["usd_per_million"])
            for price in prices
            if (price["product"], price["cloud"], price["unit"]) == (row["product"], row["cloud"], unit)
            and price["begin"] <= str(row["event_day"]) < (price["end"] or "9999")
            and not price["tier"]
        ]
        return tokens * price / 10**6

    def base(line: dict[str, Any]) -> Fraction:
        rows = [row for row in usage if all(row[name] == line[name] for name in ("product", "cloud", "seller"))]
        rows = [row for row in rows if line["days"]["begin"] <= str(row["event_day"]) < line["days"]["end"]]
        cached = "cached_input_tokens"
        charges = [
            charge(row, "input_tokens", row["input_tokens"] - (row[cached] or 0))
            + (charge(row, cached, row[cached]) if row[cached] else 0)
            + charge(row, "output_tokens", row["output_tokens"])
            for row in rows
        ]
        return sum(charges, Fraction(0))

    lines = [line for line in stated["lines"] if Fraction(line["base"])]
    assert [base(line) for line in lines] == [Fraction(line["base"]) for line in lines]
    for direction in stated["directions"]:
        for share in direction["shares"]:
            own = [line for line in lines if (line["term"], line["payer"]) == (share["term"], share["payer"])]
            due = sum((base(line) * Fraction(share["rate"]) for line in own), Fraction(0))
            assert Fraction(share["amount"]) == round(due * 100) / Fraction(100), "half to even"
            assert sum(Fraction(line["amount"]) for line in own) == Fraction(share["amount"])


def test_only_lines_that_the_pack_states_open(ours: Path, packs: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    refused = did(nowhere, "statement", "explain", "bem8ag6t", str(packs / "may.pack"), code=3)
    assert "the statement of 2026-05 in the pack has no such line" in refused
    sums = did(nowhere, "statement", "explain", "2pa4zs7k", str(packs / "sums.pack"), code=3)
    assert "the pack tells its usage by day alone" in sums
    turned = did(nowhere, "statement", "explain", str(packs / "may.pack"), "2pa4zs7k", code=3)
    assert f"Write: clauseway statement explain 2pa4zs7k {packs / 'may.pack'}." in turned
    forged = rewritten(
        packs / "may.pack", tmp_path / "a.pack", edit("statement.json", '"amount": "0.14"', '"amount": "0.99"')
    )
    result = did(nowhere, "statement", "explain", "2pa4zs7k", str(forged), code=3)
    assert "its statement is not that of its settlement" in result
    assert "no pack" in did(nowhere, "statement", "explain", "2pa4zs7k", "may.json", code=3)


def test_the_same_month_is_the_same_bytes(ours: Path, packs: Path, tmp_path: Path) -> None:
    did(ours, "statement", "pack", "2026-05", "--out", str(tmp_path / "again.pack"))
    assert (tmp_path / "again.pack").read_bytes() == (packs / "may.pack").read_bytes()


def test_sums_alone_cannot_be_checked_and_it_says_so(packs: Path, tmp_path: Path) -> None:
    done = answer("statement", "verify", str(packs / "sums.pack"), home=tmp_path / "nowhere", code=2)
    assert {line["verdict"] for line in done["repeated"]["lines"]} == {"cannot be checked here"}
    assert "alone: 12 attempts on 6 days" in done["repeated"]["lines"][0]["because"]


def test_a_statement_under_an_agreement_that_is_not_here_says_how_to_get_it(ours: Path, tmp_path: Path) -> None:
    """The other party has the JSON alone, of an agreement of whose figures its own home knows nothing."""
    file = tmp_path / "may.json"
    did(ours, "statement", "--period", "2026-05", "--out", str(file))
    stated = json.loads(file.read_bytes())
    stated["inputs"]["agreement"], stated["assumptions"] = "0" * 64, []
    file.write_bytes(json.dumps(stated).encode())
    result = did(tmp_path / "nowhere", "statement", "verify", str(file), code=2)
    assert result.startswith("Statement 2026-05: cannot be checked here\n")
    assert "undisclosed" not in result
    assert "clauseway statement pack 2026-05" in result
    done = answer("statement", "verify", str(file), home=tmp_path / "nowhere", code=2)["repeated"]
    assert {line["verdict"] for line in done["lines"]} == {"cannot be checked here"}
    assert {line["because"] for line in done["lines"]} == {"The agreement that was settled under is not here."}
    assert f"its digest is {'0' * 64}." in done["remarks"][0]


def test_sums_are_held_against_the_readers_own_usage(ours: Path, packs: Path, tmp_path: Path) -> None:
    theirs, usage = tmp_path / "theirs", str(tmp_path / "usage.parquet")
    did(ours, "export", "usage", "--format", "parquet", "--out", usage)
    did(theirs, "usage", "import", usage)
    done = answer("statement", "verify", str(packs / "sums.pack"), home=theirs)
    assert done["repeated"]["same"]
    assert {line["verdict"] for line in done["repeated"]["lines"]} == {"the same"}
    settled_book.seal(Home(theirs), [(13, "05-03", 9, 1, 2, (100_000, 0, 10_000))])
    done = answer("statement", "verify", str(packs / "sums.pack"), home=theirs, code=2)
    assert done["pack"]["days_changed"] == ["2026-05-03"]
    verdicts = {(line["of"], line["verdict"]): line["because"] for line in done["repeated"]["lines"]}
    because = verdicts["gpt-5.4 on aws, sold by openai", "cannot be checked here"]
    assert "another on 2026-05-03. The lines add up to what is owed" in because
    assert ("gpt-5.5 on azure, sold by openai", "the same") in verdicts, "their usage of it comes to the same"


def test_a_correction_in_ones_own_home_is_performed_again(ours: Path, tmp_path: Path) -> None:
    """May says what it owes for April. Somebody recorded another amount: verifying does not take it on trust."""
    home = Path(shutil.copytree(ours, tmp_path / "home"))
    assert answer("statement", "verify", "2026-05", home=home)["repeated"]["same"]
    settled_book.seal(Home(home), [(14, "04-28", 19, 1, 2, (100_000, 0, 10_000))])
    assert answer("statement", "verify", "2026-05", home=home)["repeated"]["same"], "what came later is not in it"
    with closing(sqlite3.connect(home / "control.db")) as connection:
        [body] = connection.execute("SELECT body FROM settlements ORDER BY sequence DESC LIMIT 1").fetchone()
        settled = json.loads(body)
        assert settled["corrections"]
        settled["corrections"][0]["new"] = "9.99"
        changed = "UPDATE settlements SET body = ? WHERE sequence = (SELECT max(sequence) FROM settlements)"
        connection.execute(changed, [json.dumps(settled)])
        connection.commit()
    done = answer("statement", "verify", "2026-05", home=home, code=2)["repeated"]
    assert "differs" in {line["verdict"] for line in done["lines"]}


def packed(value: object) -> bytes:
    return msgspec.json.encode(value, order="sorted") + b"\n"


def rewritten(pack: Path, out: Path, change: Callable[[dict[str, bytes]], None], *, method: int = 0) -> Path:
    """A pack with other parts and a manifest that fits them, as a forger writes it."""
    with zipfile.ZipFile(pack) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    manifest = json.loads(parts.pop("manifest.json"))
    manifest["parts"] = [
        {"name": name, "bytes": len(content), "digest": hashlib.sha256(content).hexdigest()}
        for name, content in sorted(parts.items())
    ]
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in (("manifest.json", packed(manifest)), *sorted(parts.items())):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr, entry.create_system, entry.compress_type = MODE, UNIX, method
            archive.writestr(entry, content)
    return out


def edit(name: str, old: str, new: str) -> Callable[[dict[str, bytes]], None]:
    def change(parts: dict[str, bytes]) -> None:
        assert old.encode() in parts[name], f"{name} has no {old}"
        parts[name] = parts[name].replace(old.encode(), new.encode())

    return change


def dearer(parts: dict[str, bytes]) -> None:
    """Ten times the tokens of one attempt."""
    path = Path("/dev/shm") / f"usage-{id(parts)}.parquet"
    path.write_bytes(parts["usage.parquet"])
    table = pq.read_table(path)
    place = table.column_names.index("output_tokens")
    counts = [count and count * 10 for count in table["output_tokens"].to_pylist()]
    field = table.schema.field("output_tokens")
    pq.write_table(table.set_column(place, field, [counts]), path)
    parts["usage.parquet"] = path.read_bytes()
    path.unlink()


def endless(parts: dict[str, bytes]) -> None:
    """A list of five million nulls in one attempt."""
    table = pq.read_table(io.BytesIO(parts["usage.parquet"])).slice(0, 1)
    place, nulls = table.column_names.index("terms"), pa.nulls(5_000_000, pa.string())
    table = table.set_column(place, "terms", pa.ListArray.from_arrays([0, len(nulls)], nulls))
    written = io.BytesIO()
    pq.write_table(table, written)
    parts["usage.parquet"] = written.getvalue()


def test_another_amount_is_told_line_by_line(packs: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(packs / "april.pack") as archive:
        stated = json.loads(archive.read("statement.json"))
    line = next(line for line in stated["lines"] if line["amount"] == "0.72")
    forged = rewritten(
        packs / "april.pack", tmp_path / "a.pack", edit("statement.json", '"amount": "0.72"', '"amount": "0.99"')
    )
    done = answer("statement", "verify", str(forged), home=tmp_path / "nowhere", code=2)["repeated"]
    verdicts = {line["line"]: (line["verdict"], line["differs_by"]) for line in done["lines"]}
    assert verdicts.pop(line["id"]) == ("differs", "-0.27")
    assert {verdict for verdict, _ in verdicts.values()} == {"the same"}


def test_a_statement_in_other_bytes_is_not_the_same(packs: Path, tmp_path: Path) -> None:
    """Signatures cover bytes; a name that stands twice, for example, reads otherwise in another program."""
    change = edit("statement.json", '"receipt": ', '"receipt":  ')
    forged = rewritten(packs / "april.pack", tmp_path / "a.pack", change)
    done = answer("statement", "verify", str(forged), home=tmp_path / "nowhere", code=2)["repeated"]
    assert {line["verdict"] for line in done["lines"]} == {"the same"}
    assert done["remarks"] == ["The statement was written in other bytes."]


def test_lines_that_do_not_add_up_are_named_without_any_usage(packs: Path, tmp_path: Path) -> None:
    change = edit("statement.json", '"amount": "0.14"', '"amount": "0.15"')
    forged = rewritten(packs / "sums.pack", tmp_path / "s.pack", change)
    result = did(tmp_path / "nowhere", "statement", "verify", str(forged), code=2)
    assert "The lines do NOT add up to what is owed" in " ".join(result.split())


def test_other_usage_cannot_pass_for_what_was_settled(packs: Path, tmp_path: Path) -> None:
    forged = rewritten(packs / "april.pack", tmp_path / "a.pack", dearer)
    done = answer("statement", "verify", str(forged), home=tmp_path / "nowhere", code=2)
    assert done["pack"]["days_changed"] == ["2026-04-20", "2026-04-26", "2026-04-27", "2026-04-28"]
    assert "The usage that was settled is not in this lake" in done["repeated"]["remarks"][0]
    assert "cannot be checked here" in {line["verdict"] for line in done["repeated"]["lines"]}


def with_corrections_of_a_forger(
    ours: Path, pack: Path, out: Path, forge: Callable[[StatementChange], list[StatementChange]]
) -> Path:
    """A pack as a program of the forger's own writes it: statement, record and receipt agree."""
    with zipfile.ZipFile(pack) as archive:
        stated = msgspec.json.decode(archive.read("statement.json"), type=Statement)
    with copied(Home(ours).control, Home(ours).lake) as lake:
        again = repeat(Home(ours), lake, stated)
    changes = [change for late in again.settlement.corrections for change in forge(late)]
    settled = corrected(again.without_late, changes, stated.inputs.closed)

    def write(parts: dict[str, bytes]) -> None:
        books = json.loads(parts["books.json"])
        last = books["settlements"][-1]
        last |= {"body": msgspec.json.encode(settled).decode(), "receipt": settled.receipt}
        parts["books.json"] = packed(books)
        parts["statement.json"] = canonical_bytes(statement_of(settled))
        parts["manifest.json"] = parts["manifest.json"].replace(stated.receipt.encode(), settled.receipt.encode())

    return rewritten(pack, out, write)


# The forger's change to the correction of April, which May owes -> the refusal.
FORGED_CORRECTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "the payer keeps a part back": ({"withholding": Decimal("0.05")}, '"withholding":"0.05"'),
    "the other party pays it": (
        {"payer": "microsoft", "payee": "openai"},
        "total: openai to microsoft is stated as 0.50, found as 0.59",
    ),
    "it is due on another day": (
        {"payment": PaymentTerm(due_days=900)},
        '"payment":{"every"',
    ),
}


@pytest.mark.parametrize("deed", FORGED_CORRECTIONS)
def test_a_forged_correction_is_found(ours: Path, packs: Path, tmp_path: Path, deed: str) -> None:
    members, said = FORGED_CORRECTIONS[deed]
    forged = with_corrections_of_a_forger(
        ours, packs / "may.pack", tmp_path / "f.pack", lambda late: [msgspec.structs.replace(late, **members)]
    )
    result = did(tmp_path / "nowhere", "statement", "verify", str(forged), code=2)
    assert said in " ".join(result.split())


def test_a_correction_that_is_left_out_is_missed(ours: Path, packs: Path, tmp_path: Path) -> None:
    """May names the usage of its own share, from 27 April on; the usage of the share before it is in no statement."""
    forged = with_corrections_of_a_forger(ours, packs / "may.pack", tmp_path / "f.pack", lambda late: [])
    text = " ".join(did(tmp_path / "nowhere", "statement", "verify", str(forged), code=2).split())
    assert "total: openai to microsoft is stated as 0.50, found as 0.59" in text
    unnamed = (
        "no usage of 2026-04 before 2026-04-27 is named by the statement: a correction left out with it is not missed"
    )
    for pack in (forged, packs / "may.pack"):
        done = run("statement", "verify", str(pack), home=tmp_path / "nowhere")
        assert unnamed in " ".join(done.stdout.split())
    assert unnamed not in did(tmp_path / "nowhere", "statement", "verify", str(packs / "april.pack"))


def test_a_closed_month_is_taken_from_the_pack_and_named(ours: Path, packs: Path, tmp_path: Path) -> None:
    """A payee says that April was closed with less than it was, so that more of it is still owed."""
    lower = with_corrections_of_a_forger(
        ours, packs / "may.pack", tmp_path / "l.pack", lambda late: [msgspec.structs.replace(late, old=Decimal("0.12"))]
    )

    def earlier(parts: dict[str, bytes]) -> None:
        """Close April with less, in all that says so."""
        books = json.loads(parts["books.json"])
        april = books["settlements"][0]
        april["body"] = april["body"].replace('"amount":"0.72"', '"amount":"0.12"')
        stated = canonical_bytes(statement_of(msgspec.json.decode(april["body"], type=Settlement)))
        books["closes"][0] |= {"statement": stated.decode(), "digest": hashlib.sha256(stated).hexdigest()}
        parts["books.json"] = packed(books)

    forged = rewritten(lower, tmp_path / "f.pack", earlier)

    def april(pack: Path, home: Path, code: int) -> str:
        done = answer("statement", "verify", str(pack), home=home, code=code)
        standing = {source["what"]: source["here"] for source in done["pack"]["stands_on"]}
        assert standing.pop("2026-04 as it was closed, its statement") == done["pack"]["stands_on"][-1]["here"]
        assert standing == {"the agreement": "the same", "the price book": "the same"}
        return str(done["pack"]["stands_on"][-1]["here"])

    assert april(packs / "may.pack", tmp_path / "nowhere", 0) == "not here"
    assert april(packs / "may.pack", ours, 0) == "the same"
    assert april(forged, ours, 2) == "another"
    result = did(tmp_path / "nowhere", "statement", "verify", str(forged))
    assert "stands on 2026-04 as it was closed, its statement" in " ".join(result.split())


def left_out(name: str) -> Callable[[dict[str, bytes]], None]:
    def change(parts: dict[str, bytes]) -> None:
        del parts[name]

    return change


def added(name: str, content: bytes) -> Callable[[dict[str, bytes]], None]:
    return lambda parts: parts.update({name: content})


# A change to the pack -> the refusal.
def a_row_more(table: str, **row: object) -> Callable[[dict[str, bytes]], None]:
    def change(parts: dict[str, bytes]) -> None:
        books = json.loads(parts["books.json"])
        sequence = 1 + max((each["sequence"] for each in books[table]), default=0)
        books[table].append({"sequence": sequence, "recorded_ns": 1, **row})
        parts["books.json"] = packed(books)

    return change


def edited_texts(parts: dict[str, bytes]) -> None:
    """Put other texts under the digests of those that were accepted: agreements, prices, figures."""
    books = json.loads(parts["books.json"])
    for text in books["basis_texts"]:
        text["body"] = base64.b64encode(gzip.compress(b"other words")).decode()
    parts["books.json"] = packed(books)


def text_behind_a_text(parts: dict[str, bytes]) -> None:
    """Gzip unpacks both as one."""
    books = json.loads(parts["books.json"])
    text = books["basis_texts"][0]
    text["body"] = base64.b64encode(base64.b64decode(text["body"]) + gzip.compress(b"more")).decode()
    parts["books.json"] = packed(books)


def used(column: str, value: object) -> Callable[[dict[str, bytes]], None]:
    """Put another value into the last attempt."""

    def change(parts: dict[str, bytes]) -> None:
        table = pq.read_table(io.BytesIO(parts["usage.parquet"]))
        place, field = table.column_names.index(column), table.schema.field(column)
        values = pa.array([*table[column].to_pylist()[:-1], value], field.type)
        written = io.BytesIO()
        pq.write_table(table.set_column(place, field, values), written)
        parts["usage.parquet"] = written.getvalue()

    return change


def other_table(change: Callable[[pa.Table], pa.Table]) -> Callable[[dict[str, bytes]], None]:
    """Put another table in the place of the attempts."""

    def write(parts: dict[str, bytes]) -> None:
        written = io.BytesIO()
        pq.write_table(change(pq.read_table(io.BytesIO(parts["usage.parquet"]))), written, row_group_size=1)
        parts["usage.parquet"] = written.getvalue()

    return write


def row_twice(parts: dict[str, bytes]) -> None:
    books = json.loads(parts["books.json"])
    books["vouchers"] *= 2
    parts["books.json"] = packed(books)


def changed(table: str, **columns: object) -> Callable[[dict[str, bytes]], None]:
    """Put other values into the first row of a table."""

    def change(parts: dict[str, bytes]) -> None:
        books = json.loads(parts["books.json"])
        books[table][0] |= columns
        parts["books.json"] = packed(books)

    return change


LATE = "A5.share-openai-microsoft|gpt-5.4|aws|openai"
FACT = {"kind": "launch", "effective": "2026-05-01", "source": "a letter"}
VOUCHER = {"id": "v", "kind": "invoice", "day": "2026-05-01"}
SETTLEMENT = {"receipt": "r", "begin_day": "2026-05-01", "end_day": "2026-06-01"}
HOSTILE = {
    "a fact that is none": (a_row_more("facts", **FACT, payload="{}"), "a row of facts has a value of another kind"),
    "a voucher that is none": (
        a_row_more("vouchers", **VOUCHER, body="{}"),
        "a row of vouchers has a value of another kind",
    ),
    "a settlement that is none": (
        a_row_more("settlements", **SETTLEMENT, body="{}"),
        "a row of settlements has a value of another kind",
    ),
    "other texts": (edited_texts, "not what was accepted under it. Ask for it again: clauseway statement pack"),
    "a path out of it": (added("../../evil.py", b"x"), "'../../evil.py', which no pack has"),
    "another file": (added("readme.txt", b"x"), "'readme.txt', which no pack has"),
    "no statement": (left_out("statement.json"), "it lacks statement.json"),
    "no JSON": (added("books.json", b"{"), "books.json: Input data was truncated"),
    "another table": (added("books.json", packed({"keys": []})), "there is no table 'keys'"),
    "another column": (added("books.json", packed({"facts": [{"x": 1}]})), "a row of facts has other columns"),
    "deep JSON": (added("books.json", b'{"a":%b1%b}' % (b"[" * 900, b"]" * 900)), "it nests more than 900 levels deep"),
    "Parquet that swells": (endless, "forged.pack: the Parquet file takes too much memory"),
    "no Parquet": (added("usage.parquet", b"PAR1" * 100), "usage.parquet"),
    "an amount of a billion digits": (
        edit("statement.json", '"amount": "0.14"', '"amount": "1E+999999999"'),
        "statement.json: 1E+999999999 is not an amount",
    ),
    "an earlier amount of a billion digits": (
        edit("books.json", r"\"amount\":\"0.34\"", r"\"amount\":\"1E+999999999\""),
        "a row of settlements has a value of another kind: an amount is no sum of money",
    ),
    "a correction of no line": (
        edit("statement.json", f'"line": "{LATE}"', '"line": ""'),
        "statement.json: '' names no line: it lacks a product, a cloud or a seller",
    ),
    "a recorded correction of no line": (
        edit("books.json", rf"\"line\":\"{LATE}\"", r"\"line\":\"gpt-5.4\""),
        "a row of settlements has a value of another kind: 'gpt-5.4' names no line",
    ),
    "a settlement of another month": (
        changed("settlements", begin_day="2026-03-01"),
        "books.json: a row of settlements is not what its columns say: begin_day",
    ),
    "a credit under another name": (
        changed("vouchers", id="c-2"),
        "books.json: a row of vouchers is not what its columns say: id",
    ),
    "a close with another statement": (
        edit("books.json", r"\"amount\": \"0.72\"", r"\"amount\": \"0.12\""),
        "books.json: the statement with which 2026-04 was closed is not the one of its digest",
    ),
    "a close of nothing settled": (
        changed("closes", receipt="r"),
        "books.json: 2026-04 was closed with the settlement r, which is not there",
    ),
    "a close that its settlement does not state": (
        edit("books.json", r"\"payee\":\"openai\"", r"\"payee\":\"oracle\""),
        "books.json: the statement with which 2026-04 was closed has other lines than its settlement",
    ),
    "a name that speaks": (
        edit("statement.json", '"product": "gpt-5.5"', r'"product": "x\nthe same"'),
        "lines.product",
    ),
    "a table twice": (edit("books.json", '"facts":[]', '"facts":[],"facts":[]'), "books.json is not written as a pack"),
    "two texts in one": (text_behind_a_text, "a text is followed by something else"),
    "usage that nobody sold": (used("product", None), "an attempt without a name, a time or a party"),
    "usage of a day that never comes": (
        used("event_day", date(9999, 12, 30)),
        "an attempt on another day than that of its time",
    ),
    "another receipt": (
        edit("statement.json", '"receipt": "', '"receipt": "f'),
        "is not the one that its manifest names",
    ),
    "another month": (
        edit("manifest.json", '"period":"2026-05"', '"period":"2026-04"'),
        "is not the one that its manifest names",
    ),
    "another format": (
        edit("manifest.json", "clauseway-pack/1", "clauseway-pack/9"),
        "its format is 'clauseway-pack/9'",
    ),
    "a settlement under another receipt": (
        changed("settlements", receipt="r"),
        "books.json: a row of settlements is not what its columns say: receipt",
    ),
    "a settlement of two months": (
        changed("settlements", end_day="2026-06-01"),
        "books.json: a row of settlements is not what its columns say: end_day",
    ),
    "a credit of another kind": (
        changed("vouchers", kind="dispute"),
        "books.json: a row of vouchers is not what its columns say: kind",
    ),
    "a credit of another day": (
        changed("vouchers", day="2026-05-31"),
        "books.json: a row of vouchers is not what its columns say: day",
    ),
    "a row twice": (row_twice, "books.json: rows of vouchers do not fit each other"),
    "usage with a column more": (
        other_table(lambda usage: usage.append_column("note", usage["region"])),
        "usage.parquet has other columns than usage has",
    ),
    "usage in another order": (
        other_table(lambda usage: usage.take(list(range(len(usage)))[::-1])),
        "usage.parquet is not in the order of its days",
    ),
    "a name of any length": (used("organisation", "x" * 5_000), "usage.parquet has a text of 5,000 bytes"),
    "a count below zero": (used("output_tokens", -1), "usage.parquet has counts that cannot be true"),
}


def without_later_units(usage: pa.Table) -> pa.Table:
    """Usage as a version wrote it that did not have the units of which there is none."""
    return usage.drop_columns([unit.column for unit in Unit if usage[unit.column].null_count == len(usage)])


def test_a_pack_of_an_earlier_version_is_performed_again(packs: Path, tmp_path: Path) -> None:
    older = rewritten(packs / "may.pack", tmp_path / "older.pack", other_table(without_later_units))
    assert "the same, to the last byte" in did(tmp_path / "nowhere", "statement", "verify", str(older))


def test_a_pack_that_lacks_a_unit_that_was_settled_differs(packs: Path, tmp_path: Path) -> None:
    less = rewritten(
        packs / "may.pack", tmp_path / "less.pack", other_table(lambda usage: usage.drop_columns(["output_tokens"]))
    )
    assert "NOT the same" in did(tmp_path / "nowhere", "statement", "verify", str(less), code=2)


@pytest.mark.parametrize("deed", HOSTILE)
def test_a_hostile_pack_is_refused_with_the_reason(packs: Path, tmp_path: Path, deed: str) -> None:
    change, said = HOSTILE[deed]
    forged = rewritten(packs / "may.pack", tmp_path / "forged.pack", change)
    result = did(tmp_path / "nowhere", "statement", "verify", str(forged), code=3)
    assert said in " ".join(result.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["forged.pack"]


def test_a_compressed_pack_may_be_a_bomb_and_is_refused(packs: Path, tmp_path: Path) -> None:
    bomb = rewritten(
        packs / "may.pack", tmp_path / "b.pack", added("days.json", b" " * 10**8), method=zipfile.ZIP_DEFLATED
    )
    assert "is compressed" in did(tmp_path / "nowhere", "statement", "verify", str(bomb), code=3)


def test_texts_that_swell_are_refused(packs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handed_over, "TEXT_BYTES_MAX", 1 << 20)

    def swell(parts: dict[str, bytes]) -> None:
        books = json.loads(parts["books.json"])
        books["basis_texts"][0]["body"] = base64.b64encode(gzip.compress(b" " * (2 << 20))).decode()
        parts["books.json"] = packed(books)

    bomb = rewritten(packs / "may.pack", tmp_path / "b.pack", swell)
    assert "unpack to more than 1 MB" in did(tmp_path / "nowhere", "statement", "verify", str(bomb), code=3)


@pytest.mark.parametrize("part", ["books.json", "days.json", "statement.json"])
def test_a_part_of_many_elements_is_refused_before_each_is_an_object(
    packs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(packing, "_ELEMENTS_MAX", 1_000)
    forged = rewritten(packs / "may.pack", tmp_path / "f.pack", added(part, b'{"a,\\"":[%b{}]}\n' % (b"{}," * 1_000)))
    assert f"{part} has more than 1,000 members and elements" in did(
        tmp_path, "statement", "verify", str(forged), code=3
    )


def test_a_pack_has_its_parts_in_one_order(packs: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(packs / "may.pack") as pack, zipfile.ZipFile(tmp_path / "o.pack", "w") as other:
        for name in sorted(pack.namelist(), reverse=True):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr, entry.create_system = MODE, UNIX
            other.writestr(entry, pack.read(name))
    result = did(tmp_path / "nowhere", "statement", "verify", str(tmp_path / "o.pack"), code=3)
    assert "its parts are in another order" in result


def test_a_flipped_bit_is_not_what_the_manifest_says(packs: Path, tmp_path: Path) -> None:
    content = bytearray((packs / "may.pack").read_bytes())
    at = content.index(b'"lines"')
    content[at + 1] ^= 1
    (tmp_path / "f.pack").write_bytes(content)
    result = did(tmp_path / "nowhere", "statement", "verify", str(tmp_path / "f.pack"), code=3)
    assert "no pack" in result


def flaw(pack: Path) -> str:
    """Return the ZIP's fault, whether the reader of ZIP says it or we."""
    try:
        with zipfile.ZipFile(pack) as archive:
            return flaw_of_layout(archive, pack)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        return str(error)


def test_no_byte_outside_the_parts_changes_unseen(packs: Path, tmp_path: Path) -> None:
    """The headers of ZIP, which no digest covers: in them another program might find another size or name."""
    whole = (packs / "may.pack").read_bytes()
    with zipfile.ZipFile(packs / "may.pack") as archive:
        parts = [archive.read(name) for name in archive.namelist()]
    outside, at = list[int](), 0
    for part in parts:
        begin = whole.index(part, at)
        outside += range(at, begin)
        at = begin + len(part)
    outside += range(at, len(whole))
    forged = tmp_path / "f.pack"
    for at in outside:
        # The numbers of ZIP's versions are the ones that programs write for each other.
        for other in {whole[at] ^ 1, 20, 45} - {whole[at]}:
            forged.write_bytes(whole[:at] + bytes([other]) + whole[at + 1 :])
            assert flaw(forged), at
    for content in (b"x" + whole, whole + b"x", whole[: outside[60]] + b"x" + whole[outside[60] :]):
        forged.write_bytes(content)
        assert flaw(forged)
    result = did(tmp_path / "nowhere", "statement", "verify", str(forged), code=3)
    assert "no pack" in result


def test_a_pack_that_python_before_3_11_4_wrote_is_one(packs: Path, tmp_path: Path) -> None:
    """It gave the size of a part with rows twice, where others say that it stands in the second place."""
    with zipfile.ZipFile(packs / "may.pack") as whole, zipfile.ZipFile(tmp_path / "older.pack", "w") as older:
        for listed in whole.infolist():
            entry = zipfile.ZipInfo(listed.filename, EPOCH)
            entry.external_attr, entry.create_system = MODE, UNIX
            is_usage = listed.filename.endswith(".parquet")
            entry.extra = struct.pack("<2H2Q", 1, 16, listed.file_size, listed.file_size) if is_usage else b""
            with older.open(entry, "w") as part:
                part.write(whole.read(listed))
            entry.extra = b""
    assert flaw(tmp_path / "older.pack") == ""


def test_a_pack_is_the_same_bytes_whichever_python_writes_it(packs: Path) -> None:
    """Versions of Python lay out a part otherwise that is said to need more than 32 bits."""
    with zipfile.ZipFile(packs / "may.pack") as pack:
        assert {(entry.create_version, entry.extract_version) for entry in pack.infolist()} == {(20, 20)}


def test_a_pack_larger_than_32_bits_can_say_is_laid_out_as_it_is_written(
    packs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 400)
    pack = rewritten(packs / "may.pack", tmp_path / "large.pack", lambda _: None)
    with zipfile.ZipFile(pack) as archive:
        assert archive.infolist()[-1].extract_version == 45
    assert flaw(pack) == ""


def test_a_month_that_is_not_settled_cannot_be_packed(ours: Path, tmp_path: Path) -> None:
    assert "is not settled" in did(ours, "statement", "pack", "2026-06", code=3)
    assert "is not a month" in did(ours, "statement", "pack", "June", code=3)


def test_only_a_statement_that_was_settled_here_is_packed(ours: Path, tmp_path: Path) -> None:
    """And only with its own month, on the usage that it was settled on."""
    may, pack = str(tmp_path / "may.json"), ("statement", "pack", "--out", str(tmp_path / "a.pack"), "--file")
    did(ours, "statement", "--period", "2026-05", "--out", may)
    assert "it is not one of 2026-04 as JSON" in did(ours, *pack, may, "2026-04", code=3)
    theirs = settled_book.make(tmp_path / "theirs").root
    assert "no settlement with its receipt is recorded" in did(theirs, *pack, may, "2026-05", code=3)
    with closing(sqlite3.connect(theirs / "control.db")) as connection, connection:
        connection.execute("DELETE FROM lake_files")
    assert "The usage that was settled is not in this lake" in did(theirs, *pack[:-1], "2026-05", code=3)
    assert not (tmp_path / "a.pack").exists()


# Signing


def test_whoever_countersigns_has_verified_or_says_why_not(
    ours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUSEWAY_KEYS", str(tmp_path / "keys"))
    theirs, may, packed = tmp_path / "theirs", tmp_path / "may.json", tmp_path / "may.pack"
    did(ours, "statement", "--period", "2026-05", "--out", str(may))
    key = answer("party", "key", "create", "--party", "openai", home=ours)["public_key"]
    did(ours, "statement", "sign", str(may), "--party", "openai")
    did(ours, "statement", "pack", "2026-05", "--file", str(may), "--out", str(packed))
    did(theirs, "party", "key", "create", "--party", "microsoft")
    did(theirs, "party", "key", "trust", "--party", "openai", "--public-key", key)
    done = answer("statement", "verify", str(packed), home=theirs)
    assert [
        (signature["party"], signature["valid"], signature["trusted"]) for signature in done["signing"]["signatures"]
    ] == [("openai", True, True)]
    sign = ("statement", "countersign", str(may), "--party", "microsoft")
    before = Path(f"{may}.signatures.json").read_bytes()
    assert "performed again here, it is not the same" in " ".join(did(theirs, *sign, code=3).split())
    assert "one needs the other" in did(theirs, *sign, "--unverified", code=3)
    signed = answer(*sign, "--pack", str(packed), home=theirs)
    assert [(signature["party"], signature["unverified"]) for signature in signed["signatures"]] == [
        ("openai", ""),
        ("microsoft", ""),
    ]
    Path(f"{may}.signatures.json").write_bytes(before)
    signed = answer(*sign, "--unverified", "--why", "the meter is being moved", home=theirs)
    assert signed["signatures"][1]["unverified"] == "the meter is being moved"
    assert signed["signatures"][1]["valid"]
    shutil.rmtree(theirs)
