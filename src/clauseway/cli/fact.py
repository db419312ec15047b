"""`clauseway fact`: the register of facts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from clauseway.agreement import Given
from clauseway.agreement.recorded import REGISTER
from clauseway.app.home import home_at
from clauseway.app.library import known_point, open_agreement
from clauseway.app.register import ListedFact, list_facts, listed, record_fact, with_register
from clauseway.cli import options
from clauseway.cli.output import console, print_json

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
record = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
app.add_typer(record, name="record", help="Record one fact.")

Effective = Annotated[str, typer.Option("--effective", help="The day it took effect (UTC); it may lie in the past.")]
Source = Annotated[str, typer.Option("--source", help="Where it is stated: a page, a letter, a person.")]
Says = Annotated[str, typer.Option("--says", help="What happened, in one sentence.")]
Corrects = Annotated[
    str, typer.Option("--corrects", help="The fact that this one corrects, by its name in `clauseway fact list`.")
]
ProductName = Annotated[str, typer.Option("--product", help="The product.")]


@app.callback()
def _facts() -> None:
    """The register of facts: what happened, since when it is known, and where that is stated.

    Facts are recorded one by one and never changed. What was wrong is corrected by another fact: from then on it is
    hidden, and for any earlier point of knowledge nothing has changed.
    """


@record.callback()
def _record() -> None:
    """Record one fact, now. It is checked against the agreement first; with any problem nothing is recorded."""


@record.command()
def launch(
    product: ProductName,
    cloud: Annotated[str, typer.Option(help="The host cloud.")],
    stage: Annotated[str, typer.Option(help="announced, preview or available.")],
    effective: Effective,
    source: Source,
    says: Says = "Launched.",
    corrects: Corrects = "",
    agreement: options.AgreementFolder = None,
    home: options.HomeFolder = None,
    as_json: options.AsJson = False,
) -> int:
    """A product launched on a cloud.

    \b
    The new model has been in preview on Azure since yesterday:
      clauseway fact record launch --product new-model --cloud azure --stage preview --effective 2026-04-30 --source "a blog post"
    It was available, not in preview:
      clauseway fact record launch --product new-model --cloud azure --stage available --effective 2026-04-30 --source "the product page" --corrects F1
    """
    about = {"product": product, "cloud": cloud, "stage": stage}
    given = Given(kind="launch", effective=effective, source=source, says=says, corrects=corrects, about=about)
    return _record_it(given, agreement, home, as_json)


@record.command()
def answer(
    product: ProductName,
    answer: Annotated[str, typer.Option(help="cannot+declines, cannot+chooses, can+declines or can+chooses.")],
    effective: Effective,
    source: Source,
    says: Says = "Answered.",
    corrects: Corrects = "",
    agreement: options.AgreementFolder = None,
    home: options.HomeFolder = None,
    as_json: options.AsJson = False,
) -> int:
    """What the first cloud's operator answered when asked to support a product.

    \b
    Microsoft cannot support the new model and declines to:
      clauseway fact record answer --product new-model --answer cannot+declines --effective 2026-04-29 --source "a letter"
    """
    about = {"product": product, "answer": answer}
    given = Given(kind="answer", effective=effective, source=source, says=says, corrects=corrects, about=about)
    return _record_it(given, agreement, home, as_json)


@record.command()
def offer(
    subject: Annotated[str, typer.Option(help="What was offered, as the right of first refusal names it: compute.")],
    effective: Effective,
    source: Source,
    passed: Annotated[bool, typer.Option("--passed/--taken", help="Whether the holder of the right passed.")] = True,
    says: Says = "Offered.",
    corrects: Corrects = "",
    agreement: options.AgreementFolder = None,
    home: options.HomeFolder = None,
    as_json: options.AsJson = False,
) -> int:
    """Something was offered to the holder of a right of first refusal.

    \b
    Microsoft was offered new capacity and passed:
      clauseway fact record offer --subject compute --effective 2025-03-01 --source "minutes of a meeting" --passed
    """
    about: Mapping[str, str | bool] = {"subject": subject, "passed": passed}
    given = Given(kind="offer", effective=effective, source=source, says=says, corrects=corrects, about=about)
    return _record_it(given, agreement, home, as_json)


@record.command()
def milestone(
    effective: Effective,
    source: Source,
    says: Says = "Verified.",
    corrects: Corrects = "",
    agreement: options.AgreementFolder = None,
    home: options.HomeFolder = None,
    as_json: options.AsJson = False,
) -> int:
    """The milestone's verification took effect. A declaration alone is none.

    \b
    Verified with effect from the first of January:
      clauseway fact record milestone --effective 2027-01-01 --source "the panel's report"
    """
    given = Given(kind="milestone", effective=effective, source=source, says=says, corrects=corrects)
    return _record_it(given, agreement, home, as_json)


@record.command()
def grant(
    party: Annotated[str, typer.Option(help="To whom.")],
    product: ProductName,
    effective: Effective,
    source: Source,
    says: Says = "Granted.",
    corrects: Corrects = "",
    agreement: options.AgreementFolder = None,
    home: options.HomeFolder = None,
    as_json: options.AsJson = False,
) -> int:
    """The owner granted a party a product (or a class of them).

    \b
    OpenAI lets Google sell GPT-5.5:
      clauseway fact record grant --party google --product gpt-5.5 --effective 2026-05-10 --source "a contract"
    """
    about = {"party": party, "product": product}
    given = Given(kind="grant", effective=effective, source=source, says=says, corrects=corrects, about=about)
    return _record_it(given, agreement, home, as_json)


@record.command()
def retraction(
    effective: Effective,
    source: Source,
    corrects: Corrects,
    says: Says = "It did not happen.",
    agreement: options.AgreementFolder = None,
    home: options.HomeFolder = None,
    as_json: options.AsJson = False,
) -> int:
    """What another fact says did not happen.

    \b
    The first fact recorded here was a mistake:
      clauseway fact record retraction --corrects F1 --effective 2026-05-02 --source "the product page, read again"
    """
    given = Given(kind="retraction", effective=effective, source=source, says=says, corrects=corrects)
    return _record_it(given, agreement, home, as_json)


@app.command("list")
def list_command(
    known_at: options.KnownAt = None,
    agreement: options.AgreementFolder = None,
    home: options.HomeFolder = None,
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
    listed = list_facts(with_register(open_agreement(agreement), home_at(home)), known_point(known_at))
    if as_json:
        print_json(listed)
    else:
        _print(listed)
    return 0


def _record_it(given: Given, agreement: Path | None, home: Path | None, as_json: bool) -> int:
    recorded = listed(record_fact(home_at(home), open_agreement(agreement), given).fact())
    if as_json:
        print_json(recorded)
        return 0
    out = console()
    out.print(f"{recorded.name}  {recorded.fact}, effective {recorded.effective}", style="bold")
    out.print(f"known from {recorded.known_at} on", style="dim")
    if recorded.corrects:
        out.print(f"hides {recorded.corrects} from then on; for any earlier point of knowledge nothing has changed")
    return 0


def _print(facts: list[ListedFact]) -> None:
    out = console()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("name", "effective", "fact", "says", "known at", "source"):
        table.add_column(column, overflow="fold")
    for fact in facts:
        says = fact.says + (f" Corrected by {fact.hidden_by}." if fact.hidden_by else "")
        name = fact.name if fact.document == REGISTER else f"{fact.document}:{fact.line}"
        row = (name, str(fact.effective), fact.fact, says, fact.known_at or "its day", fact.source)
        table.add_row(*row, style="dim" if fact.hidden_by else "")
    out.print(table if facts else "No fact is known.")
    if facts:
        out.print("A fact of the text is called FACT=DAY, as launch:new-model:azure:preview=2026-04-30.", style="dim")
