"""`clauseway fact`: the register of facts."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
import typer

from clauseway.agreement import UncheckedFact
from clauseway.agreement.reading.recorded import REGISTER
from clauseway.app.books.register import (
    ListedFact,
    clock_problem,
    facts_ahead,
    list_facts,
    record_and_list,
    with_register,
)
from clauseway.app.opening.home import home_at
from clauseway.app.opening.library import OpenAgreement, known_point, open_agreement
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console, plain_table
from clauseway.cli.output import print_json
from clauseway.values import counted, parse_day

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
record = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
app.add_typer(record, name="record", help="Record one fact.")

# Facts that may well be older than an agreement.
_OF_THE_WORLD = frozenset({"launch", "product", "party", "retraction"})
# A fact is recorded of its day or ahead of it; beyond two years a mistyped year is likelier.
_DAYS_AHEAD_MAX = 731
_IDLE = (
    "all that terms wait for goes on on the same days; it came too late, or again, or was prevented"
)
KeptCloud = Annotated[
    str, typer.Option("--cloud", help="The host cloud that it is kept to. Left out: any.")
]
KeptRegion = Annotated[
    str, typer.Option("--region", help="The agreement's region that it is kept to.")
]
KeptSegment = Annotated[
    str, typer.Option("--segment", help="The customer segment that it is kept to.")
]
ProductFlag = Annotated[str, typer.Option("--product", help="The product.")]


class _Flags(msgspec.Struct, frozen=True, kw_only=True):
    """The flags of every kind of fact."""

    effective: Annotated[
        str, typer.Option(help="The day it took effect (UTC); it may lie in the past.")
    ]
    source: Annotated[str, typer.Option(help="Where it is stated: a page, a letter, a person.")]
    says: Annotated[str | None, typer.Option(help="What happened, in one sentence.")] = None
    corrects: Annotated[
        str,
        typer.Option(help="The fact that this one corrects, by its name in `clauseway fact list`."),
    ] = ""
    clock_was_ahead: Annotated[
        bool,
        typer.Option(
            "--clock-was-ahead",
            help="Say that this machine's clock is right, and was ahead when earlier facts were recorded.",
        ),
    ] = False
    agreement: options.AgreementFolder = None
    home: options.HomeMade = None
    as_json: options.AsJson = False


@app.callback()
def _facts() -> None:
    """The register of facts: what happened, since when it is known, and where that is stated.

    Facts are recorded one by one and never changed. Another fact corrects a wrong fact: from then
    on the wrong fact is hidden, and for any earlier point of knowledge nothing has changed.
    """


@record.callback()
def _record() -> None:
    """Record one fact, now. It is checked against the agreement first; with any problem nothing is
    recorded.
    """


@record.command()
@options.taking(_Flags)
def launch(
    flags: _Flags,
    product: ProductFlag,
    cloud: Annotated[str, typer.Option(help="The host cloud.")],
    stage: Annotated[str, typer.Option(help="announced, preview or available.")],
) -> int:
    """Record that a product launched on a cloud.

    \b
    The new model has been in preview on Azure since yesterday:
      clauseway fact record launch --product new-model --cloud azure --stage preview --effective 2026-04-30 --source "a blog post"
    It was available, not in preview:
      clauseway fact record launch --product new-model --cloud azure --stage available --effective 2026-04-30 --source "the product page" --corrects F1
    """
    return _record_it(
        flags, "launch", "Launched.", {"product": product, "cloud": cloud, "stage": stage}
    )


@record.command("answer")
@options.taking(_Flags)
def answer_(
    flags: _Flags,
    product: ProductFlag,
    answer: Annotated[
        str, typer.Option(help="cannot+declines, cannot+chooses, can+declines or can+chooses.")
    ],
) -> int:
    """Record the answer of the first cloud's operator when asked to support a product.

    \b
    Microsoft cannot support the new model and declines to:
      clauseway fact record answer --product new-model --answer cannot+declines --effective 2026-04-29 --source "a letter"
    """
    return _record_it(flags, "answer", "Answered.", {"product": product, "answer": answer})


@record.command()
@options.taking(_Flags)
def offer(
    flags: _Flags,
    subject: Annotated[
        str, typer.Option(help="What was offered, as the right of first refusal names it: compute.")
    ],
    passed: Annotated[
        bool, typer.Option("--passed/--taken", help="Whether the holder of the right passed.")
    ] = True,
    answer_by: Annotated[
        str, typer.Option(help="The last day for an answer: after it, silence is a pass.")
    ] = "",
) -> int:
    """Record an offer to the holder of a right of first refusal. The latest offer of a subject
    counts.

    \b
    Microsoft was offered new capacity and passed:
      clauseway fact record offer --subject compute --effective 2025-03-01 --source "minutes of a meeting" --passed
    """
    kept = _named({"answer-by": answer_by and str(parse_day(answer_by, "--answer-by"))})
    return _record_it(flags, "offer", "Offered.", {"subject": subject, "passed": passed, **kept})


@record.command()
@options.taking(_Flags)
def milestone(
    flags: _Flags,
) -> int:
    """Record that the milestone was verified. A declaration alone is no verification.

    \b
    Verified with effect from the first of January:
      clauseway fact record milestone --effective 2027-01-01 --source "the panel's report"
    """
    return _record_it(flags, "milestone", "Verified.", {})


@record.command()
@options.taking(_Flags)
def event(
    flags: _Flags,
    event: Annotated[str, typer.Option(help="The event, as the agreement defines it: notice.")],
    through: Annotated[
        str,
        typer.Option("--until", help="Its last day. Left out: it goes on until what ends it."),
    ] = "",
) -> int:
    """Record that an event took place that the agreement defines: a notice, a breach, a cure, a consent.

    \b
    The vendor gave notice:
      clauseway fact record event --agreement ours --event notice --effective 2026-06-01 --source "a letter"
    """
    kept = _named({"through": through and str(parse_day(through, "--until"))})
    return _record_it(flags, "event", "It took place.", {"event": event, **kept})


@record.command()
@options.taking(_Flags)
def grant(
    flags: _Flags,
    party: Annotated[str, typer.Option(help="To whom.")],
    product: ProductFlag,
    cloud: KeptCloud = "",
    region: KeptRegion = "",
    segment: KeptSegment = "",
    through: Annotated[
        str, typer.Option("--until", help="Its last day. Left out: it has no end.")
    ] = "",
) -> int:
    """Record that the owner granted a party a product, or a class of products.

    \b
    OpenAI lets Google sell GPT-5.5:
      clauseway fact record grant --party google --product gpt-5.5 --effective 2026-05-10 --source "a contract"
    """
    kept = _named(
        {
            "cloud": cloud,
            "region": region,
            "segment": segment,
            "through": through and str(parse_day(through, "--until")),
        }
    )
    return _record_it(flags, "grant", "Granted.", {"party": party, "product": product, **kept})


@record.command()
@options.taking(_Flags)
def withdrawal(
    flags: _Flags,
    party: Annotated[str, typer.Option(help="Whose grants end.")],
    product: ProductFlag,
    cloud: KeptCloud = "",
    region: KeptRegion = "",
    segment: KeptSegment = "",
) -> int:
    """End a party's grants of a product from a day on. A retraction says that a grant never was.

    \b
    Google may no longer sell GPT-5.5:
      clauseway fact record withdrawal --party google --product gpt-5.5 --effective 2026-09-01 --source "a letter"
    """
    kept = _named({"cloud": cloud, "region": region, "segment": segment})
    return _record_it(
        flags, "withdrawal", "Withdrawn.", {"party": party, "product": product, **kept}
    )


def _named(parts: Mapping[str, str]) -> dict[str, str]:
    """Return those optional parts of a fact that were given."""
    return {key: value for key, value in parts.items() if value}


@record.command()
@options.taking(_Flags)
def retraction(
    flags: _Flags,
) -> int:
    """Record that something another fact says did not happen.

    \b
    The first fact recorded here was a mistake:
      clauseway fact record retraction --corrects F1 --effective 2026-05-02 --source "the product page, read again"
    """
    return _record_it(flags, "retraction", "It did not happen.", {})


@record.command()
@options.taking(_Flags)
def product(
    flags: _Flags,
    product: Annotated[str, typer.Option(help="What it is called from now on.")],
    class_: Annotated[
        str, typer.Option("--class", help="The product class it belongs to, as api.stateless.")
    ],
) -> int:
    """Add a product that the agreement's text does not know yet, so that it can be asked about.

    A name that was added stands for good.

    \b
    A model that came after the text was written, and its launch:
      clauseway fact record product --product gpt-6 --class api.stateless --effective 2026-09-01 --source "a blog post"
      clauseway fact record launch --product gpt-6 --cloud azure --stage available --effective 2026-09-01 --source "a blog"
    """
    return _record_it(flags, "product", "Added.", {"product": product, "class": class_})


@record.command()
@options.taking(_Flags)
def party(
    flags: _Flags, party: Annotated[str, typer.Option(help="What it is called from now on.")]
) -> int:
    """Add a party that the agreement's text does not know yet, so that it can be asked about.

    A name that was added stands for good.

    \b
    A reseller of its own:
      clauseway fact record party --party newcomer --effective 2026-09-01 --source "a contract"
    """
    return _record_it(flags, "party", "Added.", {"party": party})


@app.command("list")
def list_command(
    known_at: options.KnownAtFlag = None,
    agreement: options.AgreementFolder = None,
    home: options.HomeIfNamed = None,
    as_json: options.AsJson = False,
) -> int:
    """List the facts known at a point, those of the agreement's own text and those recorded here.

    A fact that was corrected by then is listed with the correction that hides it.

    \b
    Everything known now:
      clauseway fact list
    What was known when April ended:
      clauseway fact list --known-at 2026-04-30
    """
    listed = list_facts(
        with_register(open_agreement(options.agreement_for(agreement, home)), home_at(home)),
        known_point(known_at),
    )
    answer(as_json, listed, lambda: _print(listed))
    if not as_json and known_at is None and (ahead := facts_ahead(home_at(home))):
        problem = clock_problem(ahead)
        console().print(
            f"Not listed, {problem.what}: {problem.why}. {problem.remedy}", style="yellow"
        )
    return 0


def _record_it(flags: _Flags, kind: str, says: str, about: Mapping[str, str | bool]) -> int:
    """Record a fact of a kind. `says` is its sentence where the flags give none."""
    given = UncheckedFact(
        kind=kind,
        effective=flags.effective,
        source=flags.source,
        says=says if flags.says is None else flags.says,
        corrects=flags.corrects,
        about=about,
    )
    opened = open_agreement(options.agreement_for(flags.agreement, flags.home))
    recorded = record_and_list(
        home_at(flags.home), opened, given, clock_was_ahead=flags.clock_was_ahead
    )
    if flags.as_json:
        print_json(recorded)
        return 0
    out = console()
    out.print(f"{recorded.name}  {recorded.fact}, effective {recorded.effective}", style="bold")
    out.print(f"known from {recorded.known_at} on", style="dim")
    if recorded.corrects:
        out.print(
            f"hides {recorded.corrects} from then on; for any earlier point of knowledge nothing has changed"
        )
    if recorded.idle:
        out.print(f"It changes nothing: {_IDLE}.", style="yellow")
    if doubt := _doubt_of_day(kind, recorded, opened):
        out.print(
            f"{doubt} Is the year right? If not, record it again with --corrects.", style="yellow"
        )
    return 0


def _doubt_of_day(kind: str, recorded: ListedFact, opened: OpenAgreement) -> str:
    """Return why a fact's day looks mistyped; empty if it does not.

    It is recorded all the same: what begins on its day may be meant.
    """
    first = min(amendment.effective for amendment in opened.agreement.amendments)
    if kind not in _OF_THE_WORLD and recorded.effective < first:
        return f"It took effect before anything of the agreement was in effect, on {first}."
    known = recorded.known_at and parse_day(recorded.known_at[:10], "known at")
    days = (recorded.effective - known).days if known else 0
    if days > _DAYS_AHEAD_MAX:
        return f"It takes effect {counted(days, 'day')} after it became known."
    return ""


def _print(facts: list[ListedFact]) -> None:
    out = console()
    table = plain_table("name", "effective", "fact", "says", "known at", "source")
    for fact in facts:
        says = fact.says + (f" Corrected by {fact.hidden_by}." if fact.hidden_by else "")
        says += " It changes nothing." if fact.idle else ""
        name = fact.name if fact.document == REGISTER else f"{fact.document}:{fact.line}"
        row = (name, str(fact.effective), fact.fact, says, fact.known_at or "its day", fact.source)
        table.add_row(*row, style="dim" if fact.hidden_by else "")
    out.print(table if facts else "No fact is known.")
    if facts:
        out.print(
            "A fact of the text is called FACT=DAY, as launch:new-model:azure:preview=2026-04-30.",
            style="dim",
        )
