"""`clauseway statement`: a settled month, in every format it is handed over in, and everything
behind its lines.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, NamedTuple

import msgspec
import typer

from clauseway.app.books.settled import statement
from clauseway.app.opening.home import Home, home_at
from clauseway.app.opening.periods import unsettled
from clauseway.app.opening.places import file_at
from clauseway.app.opening.several import check_party
from clauseway.app.reports.equivocation import VerifiedFile, equivocations, restating_others
from clauseway.app.reports.handed_statements import beside, is_pack, read_statement
from clauseway.app.reports.settled_statement import settled_statement
from clauseway.app.reports.statement_formats import FORMATS, TERMINAL
from clauseway.app.reports.statements import statement_context
from clauseway.app.running.alerts import open_alerts
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.command_line import check_unread
from clauseway.cli.console import console
from clauseway.cli.held import by_one_connection, held_agreements
from clauseway.cli.homes import HomeUse, require_home
from clauseway.cli.money.statement_text import print_statement
from clauseway.cli.money.trace_text import print_trace
from clauseway.cli.money.verification_text import (
    print_signing,
    print_source,
    print_unnamed,
    print_verification,
)
from clauseway.cli.output import progress_on_stderr
from clauseway.cli.written import OutFile
from clauseway.ledger import Statement
from clauseway.values import InvalidInput, counted, parse_day

app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)

NOT_SO = 2
_File = Annotated[Path, typer.Argument(help="The statement's file, as JSON.")]
_Signer = Annotated[str, typer.Option("--party", help="The party that signs.")]
_Key = Annotated[
    Path | None,
    typer.Option("--private-key", help="Its private key's file; by default where it was made."),
]

Party = Annotated[str, typer.Option(help="Only what concerns this party.")]
_FORMATS = (TERMINAL, *FORMATS)


@app.callback()
@by_one_connection
def statements(
    context: typer.Context,
    period: Annotated[str, typer.Option("--period", help="The month, as 2026-05.")] = "",
    party: Party = "",
    format_: Annotated[str, typer.Option("--format", help=f"One of {', '.join(_FORMATS)}.")] = "",
    out: OutFile = None,
    restated: Annotated[
        bool, typer.Option("--restated", help="Of a closed month, what restates it.")
    ] = False,
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Print a settled month, for one party or for all. Every line has a name, names its clause, and
    opens.

    The bytes of html, pdf, xlsx, csv and json depend on the settlement and the party alone: two parties
    with the same inputs hold the same file. Without --format the ending of --out decides; without
    either it is printed for the terminal.

    \b
    All of it:
      clauseway statement --period 2026-05
    What Microsoft sees, for a machine:
      clauseway statement --period 2026-05 --party microsoft --json
    To print, and to send:
      clauseway statement --period 2026-05 --party microsoft --out may.pdf
      clauseway statement --period 2026-05 --party microsoft --format csv > may.csv
    """
    # A subcommand follows, which has an answer of its own.
    if context.invoked_subcommand is not None:
        return 0
    chosen = _format(format_, out, as_json)
    settled = settled_statement(home_at(home), period, party, restated=restated)
    if out is not None:
        content = FORMATS[chosen](settled)
        write_file(out, content)
        size = counted(len(content), "byte")
        answer(as_json, {"file": str(out), "bytes": len(content)}, f"{out}: {size}")
    elif chosen == TERMINAL:
        shown = statement_context(settled)
        alerts = open_alerts(home_at(home), settled.as_of)
        print_statement(console(), msgspec.structs.replace(shown, alerts=alerts))
    else:
        # As bytes: text would have its ends of lines changed on some machines, and PDF is none.
        sys.stdout.flush()
        sys.stdout.buffer.write(FORMATS[chosen](settled))
        sys.stdout.flush()
    return 0


@app.command()
@by_one_connection
def explain(
    line: Annotated[
        str,
        typer.Argument(help="The line's name, as every format prints it; its beginning is enough."),
    ],
    pack_: Annotated[
        Path | None,
        typer.Argument(
            help="The pack that states it; by default the home's own settled months.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    request: Annotated[
        str, typer.Option("--request", help="Follow one request: its tokens, prices and cents.")
    ] = "",
    cent: Annotated[
        int,
        typer.Option(
            "--cent",
            parser=options.whole("--cent"),
            help="Follow the request that earned this cent of it.",
            metavar="NUMBER",
        ),
    ] = 0,
    home: options.HomeOfFile = None,
    as_json: options.AsJson = False,
) -> int:
    """Open a line: its entries, its days, the prices of its units, its requests, its clause with
    file, line and source.

    A pack is enough to open the lines of its statement; it has no journal, so no entries.

    \b
    What is behind a line:
      clauseway statement explain yrg9d4g2
    Who earned the seventh cent of it?
      clauseway statement explain yrg9d4g2 --cent 7
    One request, down to its tokens:
      clauseway statement explain yrg9d4g2 --request req_00000000000000070000000000000004
    A line of what the other party packed:
      clauseway statement explain yrg9d4g2 april.pack
    """
    at = home_at(home)
    if is_pack(Path(line)):
        raise InvalidInput.of(
            what="it is a pack",
            why="the name of a line comes first",
            where="LINE",
            remedy=f"Write: clauseway statement explain {pack_ or 'LINE'} {line}.",
        )
    if pack_ is None:
        # Beside a pack, a home that is not there is an empty one; other lines are the home's own.
        require_home(at.root, HomeUse.READS)
        trace = _loaded("tracing").trace_line(at, line, request, cent)
    else:
        trace = _loaded("packing").trace_packed(pack_, line, request, cent, at)
    answer(as_json, trace, lambda: print_trace(console(), trace, pack_))
    return 0


@app.command()
@by_one_connection
def verify(
    context: typer.Context,
    sources: Annotated[
        list[str],
        typer.Argument(
            help="A statement's file, a pack, or a settled month, as 2026-05; or several.",
            metavar="FILE|MONTH",
        ),
    ],
    party: Party = "",
    home: options.HomeOfFile = None,
    as_json: options.AsJson = False,
) -> int:
    """Settle again from what a statement was made from: the same bytes, or what differs.

    The file may come from anybody: it says itself what it was made from, and the home finds that by
    its digest. Signatures beside the file are checked too. Of several statements, those of
    one month that contradict each other are named, with who signed both, and a restatement of
    which none is the statement that it restates. Nothing is changed. The exit code is 0
    where all is the same, and 2 where it is not.

    \b
    A month of this home:
      clauseway statement verify 2026-05
    What the other party sent:
      clauseway statement verify may.json
    What the other party sent to two readers:
      clauseway statement verify may.json theirs.json
    """
    at = home_at(home)
    # A month has no suffix; a name with one means a file, also one that is not there.
    if any(Path(source).exists() or Path(source).suffix for source in sources):
        check_unread(context, {"party": "a file says itself whose it is"})
    verified: list[_Verified] = []
    tell = progress_on_stderr("statement", "verified")
    for source in sources:
        verified.append(_verified(at, source, party))
        tell(len(verified), len(sources))
    known = [
        VerifiedFile(named=source, statement=done.statement, signed_by=done.signed_by)
        for source, done in zip(sources, verified, strict=True)
        if done.statement is not None
    ]
    contradicting, gaps = equivocations(known), restating_others(known)

    def show() -> None:
        for done in verified:
            done.show()
        for pair in contradicting:
            console().print(str(pair), style="bold red", soft_wrap=True)
        for gap in gaps:
            console().print(gap, style="bold red", soft_wrap=True)

    members = [done.members for done in verified]
    several = {"statements": members, "equivocations": contradicting, "restating_others": gaps}
    answer(as_json, members[0] if len(members) == 1 else several, show)
    holds = all(done.holds for done in verified) and not contradicting and not gaps
    return 0 if holds else NOT_SO


@app.command()
def sign(
    file: _File,
    party: _Signer,
    key: _Key = None,
    home: options.HomeIfNamed = None,
    as_json: options.AsJson = False,
) -> int:
    """Sign a statement (Ed25519): its JSON, byte for byte. The signatures lie beside the file.

    Prints of the statement (html, pdf, xlsx, csv) carry the hash that is signed.

    \b
    The statement, a key, the signature:
      clauseway statement --period 2026-05 --out may.json
      clauseway party key create --party openai
      clauseway statement sign may.json --party openai
    """
    return _report_signing(
        _loaded("signing").sign(home_at(home), file, read_statement(file), party, key), as_json
    )


@app.command()
@by_one_connection
def pack(
    period: Annotated[str, typer.Argument(help="The settled month, as 2026-05.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write; by default 2026-05.pack.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="The signed statement, with its signatures beside it."),
    ] = None,
    sums: Annotated[
        bool, typer.Option("--sums", help="Tell usage by day alone, not attempt by attempt.")
    ] = False,
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Write a month's statement with everything it stands on into one file, which anybody can
    perform again.

    In it are the usage, price book, rates, facts, agreements, figures, readings, credits, disputes,
    the settlements and closes before it, and the signatures of --file. The same month gives the
    same bytes. Customers' names are in it.

    \b
    For the other party, to verify on a machine of its own:
      clauseway statement pack 2026-05 --out may.pack
      clauseway statement verify may.pack
    """
    written = out or Path(f"{period}.pack")
    given = None if file is None else read_statement(file)
    done = _loaded("packing").pack_month(
        home_at(home), period, written, given=given, beside_of=file, sums=sums
    )
    size = f"{counted(done.bytes, 'byte')}, {counted(done.attempts, 'attempt')}"
    text = f"{done.file}: {size} on {counted(done.days, 'day')}, pack {done.digest}"
    answer(as_json, done, text)
    return 0


@app.command()
def countersign(
    file: _File,
    party: _Signer,
    key: _Key = None,
    pack_: Annotated[
        Path | None, typer.Option("--pack", help="Verify it from this pack first.")
    ] = None,
    unverified: Annotated[
        bool,
        typer.Option(
            "--unverified",
            help="Sign what was not performed again with the same result; needs --why.",
        ),
    ] = False,
    why: Annotated[
        str, typer.Option("--why", help="Why it is signed unverified; the signature says it.")
    ] = "",
    home: options.HomeIfNamed = None,
    as_json: options.AsJson = False,
) -> int:
    """Sign a statement that the other party has signed. The countersignature binds the signature
    that it answers.

    The statement is performed again first, from --pack or from this home, and must come out the
    same.

    \b
    What the other party sent, with its signatures beside it:
      clauseway party key trust --party openai --public-key BASE64
      clauseway statement verify may.json
      clauseway statement countersign may.json --party microsoft
    """
    if unverified is not bool(why.strip()):
        remedy = 'Write both: --unverified --why "the meter of May is being replaced".'
        raise InvalidInput.of(
            what="--unverified and --why",
            why="one needs the other",
            where="--unverified",
            remedy=remedy,
        )
    given = read_statement(file)
    done = _loaded("signing").countersign(
        home_at(home), file, given, party, key, pack_, why.strip()
    )
    return _report_signing(done, as_json)


@app.command()
@by_one_connection
def dispute(
    context: typer.Context,
    line: Annotated[
        str,
        typer.Argument(help="The line's name, as every format prints it; its beginning is enough."),
    ],
    party: Annotated[
        str,
        typer.Option(
            "--party", help="The party that disputes it, and signs where --file is given."
        ),
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why, in a sentence.")],
    file: Annotated[
        Path | None, typer.Option("--file", help="The statement to sign but for this line.")
    ] = None,
    key: _Key = None,
    day: Annotated[
        str,
        typer.Option("--dated", help="The day it is dated in the books; by default today (UTC)."),
    ] = "",
    home: options.HomeIfNamed = None,
    as_json: options.AsJson = False,
) -> int:
    """Dispute a line: its charges leave the base until the dispute is resolved, day by day, and the
    books say so.

    A dispute is booked for each of the line's days (`clauseway books dispute list` shows them,
    `books dispute resolve` ends them); an open month shows it when it is settled again, a closed
    one as a correction. With --file the statement is signed as well, but for this line.

    \b
    Not accepted:
      clauseway statement dispute yrg9d4g2 --party microsoft --reason "test traffic"
    In writing, with everything else accepted:
      clauseway statement dispute yrg9d4g2 --party microsoft --reason "test traffic" --file may.json
    """
    check_party(party, held_agreements(home))
    at, on = home_at(home), parse_day(day, "--dated") if day else None
    if file is None:
        check_unread(context, {"key": "without --file nothing is signed"})
        disputed, signing = _loaded("tracing").disputed_days(at, line, party, reason, on), None
    else:
        given = read_statement(file)
        disputed, signing = _loaded("signing").dispute(
            at, file, given, party, key, line, reason, on
        )

    def show() -> None:
        for claim in disputed.booked:
            of = claim.of
            text = f"{claim.id}: {of.amount.normalize():f} USD of {of.product} on {of.cloud} in dispute"
            console().print(text, soft_wrap=True)
        if signing is not None:
            print_signing(console(), signing)

    answer(as_json, {"line": disputed.line, "disputes": disputed.booked, "signing": signing}, show)
    return 0


class _Verified(NamedTuple):
    """The result for one source: its statement (None of a print) and the parties whose signatures
    are valid; what is printed, and the same for a program."""

    statement: Statement | None
    signing: Any
    members: dict[str, Any]
    same: bool
    show: Callable[[], None]

    @property
    def holds(self) -> bool:
        return self.same and (self.signing is None or bool(self.signing.holds))

    @property
    def signed_by(self) -> tuple[str, ...]:
        if self.signing is None or self.signing.changed:
            return ()
        valid = (signature.party for signature in self.signing.signatures if signature.valid)
        return tuple(dict.fromkeys(valid))


def _verified(home: Home, source: str, party: str) -> _Verified:
    """Perform a statement's file, a pack or a settled month again."""
    path, signing = Path(source), None
    if is_pack(path):
        return _verified_pack(home, path)
    if path.exists() or path.suffix:
        given = read_statement(path)
        if beside(path).exists():
            signing = _loaded("signing").signing_of(home, path, given)
        done, stated = _loaded("verifying").verify_given(home, given), given.statement
    else:
        # Beside a file, a home that is not there is an empty one; a month is the home's own.
        require_home(home.root, HomeUse.READS)
        check_party(party, held_agreements(home.root))
        stated = statement(home, source, party)
        if stated is None:
            raise unsettled(source, "FILE|MONTH")
        done = _loaded("verifying").verify_statement(home, stated)

    def show() -> None:
        print_verification(console(), done)
        if signing is not None:
            print_signing(console(), signing)

    return _Verified(stated, signing, {"repeated": done, "signing": signing}, done.same, show)


def _verified_pack(home: Home, path: Path) -> _Verified:
    """Perform a pack again, with its signatures."""
    done, given, signatures = _loaded("packing").verify_pack(path, home)
    signing = None
    if signatures:
        # Signatures are read from beside a statement's file, so both are laid out as such.
        with TemporaryDirectory(prefix="clauseway-") as folder:
            at = Path(folder) / path.with_suffix(".json").name
            at.write_bytes(given.content)
            beside(at).write_bytes(signatures)
            signing = _loaded("signing").signing_of(home, at, given)

    def show() -> None:
        print_verification(console(), done.repeated)
        console().print(f"  pack {done.digest}", style="dim", soft_wrap=True)
        for source in done.stands_on:
            print_source(console(), source, is_begun=home.is_begun)
        if done.months_unnamed:
            print_unnamed(console(), done.months_unnamed, done.named_from)
        for day in done.days_changed:
            console().print(f"  usage of {day}: not what the pack says", style="red")
        if signing is not None:
            print_signing(console(), signing)

    members = {"repeated": done.repeated, "pack": done, "signing": signing}
    return _Verified(given.statement, signing, members, done.same, show)


def _loaded(report: str) -> Any:
    """Load a report that counts usage: its engine takes longer to load than a month to print."""
    return import_module(f"clauseway.app.reports.{report}")


def _report_signing(signing: Any, as_json: bool) -> int:
    answer(as_json, signing, lambda: print_signing(console(), signing))
    return 0


def write_file(out: Path, content: bytes) -> None:
    """Write a whole file. Raise InvalidInput if it cannot be written."""
    with file_at(out) as beside:
        beside.write_bytes(content)


def _format(given: str, out: Path | None, as_json: bool) -> str:
    """Return the format named by --format, by --json or by the file's ending."""
    ending = out.suffix.removeprefix(".").lower() if out is not None else ""
    default = "json" if as_json else "" if out is not None else TERMINAL
    chosen = given or ending or default
    if as_json and given not in ("", "json"):
        mistake, why = f"--json and --format {given}", "they ask for two formats"
        raise InvalidInput.of(
            what=mistake, why=why, where="--format", remedy="Leave one of the two out."
        )
    if chosen not in _FORMATS or (chosen == TERMINAL and out is not None):
        mistake = (
            f"no format {chosen!r} for a file" if out is not None else f"unknown format {chosen!r}"
        )
        kept = ", ".join(FORMATS if out is not None else _FORMATS)
        why = "a statement is not written in it"
        raise InvalidInput.of(
            what=mistake, why=why, where="--format", remedy=f"Name one of {kept}."
        )
    return chosen
