"""The flags that several commands take, defined once."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec
import typer

from clauseway.agreement.reading.suppositions import SUPPOSED_FORMS
from clauseway.app.opening.home import home_at
from clauseway.app.opening.library import OpenAgreement, open_agreement
from clauseway.app.opening.library import with_recorded as one_with_recorded
from clauseway.app.opening.named_agreements import agreements_in
from clauseway.app.opening.several import Opened, open_agreements, with_recorded
from clauseway.catalog import Catalog
from clauseway.cli.homes import HomeUse
from clauseway.decisions.parts import PARTS, Names
from clauseway.decisions.searches.proof import Within
from clauseway.values import BadNumber, InvalidInput, Problem, read_whole, refuse_any

# Beyond every bound that a flag states for itself.
_WHOLE_MOST = 10**15


def whole(flag: str, least: int = 0, most: int = _WHOLE_MOST) -> Callable[[str], int]:
    """Return the reader of a flag that counts: digits alone, within bounds.

    The reader raises InvalidInput for anything else.
    """

    def number(text: str | int) -> int:  # a default is a number already
        try:
            return text if isinstance(text, int) else read_whole(text, least=least, most=most)
        except BadNumber as error:
            raise InvalidInput(error.problem(f"{text!r} cannot be taken", flag)) from None

    return number


def year(flag: str, help_: str) -> Any:
    """Return the option of a year."""
    return typer.Option(flag, parser=whole(flag), help=help_, metavar="YEAR")


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def _agreement_folder(default: str) -> Any:
    """Return the option of one agreement; `default` says which it is where none is named."""
    help_ = f"Folder of an agreement, or the name of one that ships; by default {default}."
    return typer.Option("--agreement", help=help_)


AgreementFolder = Annotated[
    Path | None,
    _agreement_folder("that of the home's configuration, or the built-in partnership"),
]
AgreementOfHome = Annotated[Path | None, _agreement_folder("the one that the home holds")]
AgreementOfConfiguration = Annotated[
    Path | None,
    _agreement_folder("those of the configuration, or the built-in partnership without one"),
]
AgreementFolders = Annotated[
    list[Path] | None,
    typer.Option(
        "--agreement",
        help="Folder of an agreement, or the name of one that ships; repeat it for several in force at "
        "once; by default those of the configuration, or the built-in partnership.",
        metavar="FOLDER",
    ),
]
# Of commands about usage, which a settlement reads: what it settles under judges the usage too.
HeldAgreementFolders = Annotated[
    list[Path] | None,
    typer.Option(
        "--agreement",
        help="Folder of an agreement, or the name of one that ships; repeat it for several in force at "
        "once; by default those of the configuration, else those that the home settles under, else "
        "the built-in partnership.",
        metavar="FOLDER",
    ),
]
FactsFile = Annotated[
    Path | None, typer.Option("--facts", help="File with further facts (YAML list, or Markdown).")
]
Readings = Annotated[
    list[str] | None,
    typer.Option(
        "--reading", help="How to read a text, as R1=or. Repeatable.", metavar="NAME=OPTION"
    ),
]
Suppositions = Annotated[
    list[str] | None,
    typer.Option(
        "--suppose",
        help=f"A supposed fact: {SUPPOSED_FORMS}. Repeatable.",
        metavar="FACT=DAY",
    ),
]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", help="The day whose rules are asked for; by default today (UTC)."),
]
KnownAtFlag = Annotated[
    str | None,
    typer.Option(
        "--known-at", help="What was known by the end of this day, or by this instant; default now."
    ),
]
RateFlags = Annotated[
    list[str] | None,
    typer.Option(
        "--rate",
        help="USD for one unit of a currency on all days, as EUR=1.08. Repeatable.",
        metavar="CURRENCY=RATE",
    ),
]
PriceBookFlag = Annotated[
    Path | None,
    typer.Option("--prices", help="Your own price book, over the shipped one and the public list."),
]
ConfigurationFile = Annotated[
    Path | None,
    typer.Option(
        "--config", help="The deployments, as TOML; by default clauseway.toml in the home."
    ),
]
# The usual ports, 8400 and 8401, stand in `gateway.transport.listener` and `app.running.processes`: no command loads
# these for its help.
GatewayPort = Annotated[
    int | None,
    typer.Option(
        help="The gateway's port, before that of a configuration; 0: any free one; named nowhere: 8400, or the next "
        "free one above it.",
        parser=whole("--port", most=65_535),
        metavar="NUMBER",
    ),
]
PagesPort = Annotated[
    int | None,
    typer.Option(
        help="The pages' port, on this machine only; by default 8401, or the next free one above it.",
        parser=whole("--pages-port", most=65_535),
        metavar="NUMBER",
    ),
]
Svg = Annotated[Path | None, typer.Option("--svg", help="Also draw it into this file.")]
Png = Annotated[
    Path | None,
    typer.Option("--png", help="Also draw it into this file; needs the extra `charts`."),
]
_HOME = typer.Option(
    "--home", help="Where data is kept; default $CLAUSEWAY_HOME, else .clauseway here."
)
# The flag is the same everywhere; its type says how the command uses the home (see `homes`).
HomeMade = Annotated[Path | None, _HOME, HomeUse.MAKES]
HomeRead = Annotated[Path | None, _HOME, HomeUse.READS]
HomeOfFile = Annotated[Path | None, _HOME, HomeUse.JUDGES]
HomeIfNamed = Annotated[Path | None, _HOME, HomeUse.ADDS]


def taking(
    flags: type[msgspec.Struct], *, first: bool = False
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Return a decorator for a command that also takes shared flags, as a record of this type.

    The command's first parameter is the record; a field of it is a flag, with the field's default.
    The flags stand `first` or last in the command's help.
    """
    hints, fields = get_type_hints(flags, include_extras=True), msgspec.structs.fields(flags)

    def wrapped(command: Callable[..., int]) -> Callable[..., int]:
        own = list(signature(command, eval_str=True).parameters.values())[1:]

        @wraps(command)
        def taken(**given: object) -> int:
            shared = {field.name: given.pop(field.name) for field in fields}
            return command(flags(**shared), **given)

        parameters = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in own]
        shared_parameters = [
            Parameter(
                field.name,
                Parameter.KEYWORD_ONLY,
                default=Parameter.empty if field.required else field.default,
                annotation=hints[field.name],
            )
            for field in fields
        ]
        both = shared_parameters + parameters if first else parameters + shared_parameters
        taken.__signature__ = Signature(both, return_annotation=int)  # type: ignore[attr-defined]
        return taken

    return wrapped


# The parts of a question as flags. A command with a question takes them first, as this record.
QuestionFlags = msgspec.defstruct(
    "QuestionFlags",
    [(part.name, Annotated[str, typer.Option(help=part.help)], part.default) for part in PARTS],
    frozen=True,
    kw_only=True,
)
# The same for a command with a claim: each part may be given several times.
ClaimFlags = msgspec.defstruct(
    "ClaimFlags",
    [
        (part.name, Annotated[list[str] | None, typer.Option(help=part.claim_help)], None)
        for part in PARTS
    ],
    frozen=True,
    kw_only=True,
)


def named_by(flags: msgspec.Struct) -> Names:
    """Return the names of a question that the flags give."""
    return Names(**msgspec.structs.asdict(flags))


def within_of(flags: msgspec.Struct) -> Within:
    """Return the combinations of a claim that the flags give."""
    given = ((part, getattr(flags, part.name)) for part in PARTS)
    return Within(**{part.lists: tuple(names or ()) for part, names in given})


def check_named(named: Names, why: str, remedy: str) -> None:
    """Raise InvalidInput for each part that a question needs and no flag names."""
    missing = [
        Problem(what="it is missing", why=why, where=part.flag, remedy=remedy.format(part.flag))
        for part in PARTS
        if part.needed and not getattr(named, part.name)
    ]
    refuse_any(missing)


def opened_one(
    folder: Path | None,
    facts: Path | None,
    suppositions: list[str] | None = None,
    home: Path | None = None,
) -> OpenAgreement:
    """Return the agreement that the flags or the home's configuration name, with the facts of the
    home and of the file. Raise InvalidInput if the configuration names several."""
    agreement = one_with_recorded(open_agreement(agreement_for(folder, home)), home_at(home))
    if facts is not None:
        agreement = agreement.with_facts_from(facts)
    return agreement.supposing(suppositions or [])


def opened(
    folders: list[Path] | None,
    facts: Path | None,
    suppositions: list[str] | None = None,
    home: Path | None = None,
    configuration: Path | None = None,
) -> Opened:
    """Return the agreements that the flags or the configuration name, by default the home's, with
    the facts of the home and of the file."""
    named = agreements_for(folders, configuration, home)
    agreements = with_recorded(open_agreements(named), home_at(home))
    return supposing(agreements, facts, suppositions)


def supposing(agreements: Opened, facts: Path | None, suppositions: list[str] | None) -> Opened:
    """Return agreements with the facts of a file and with supposed ones."""
    if facts is not None:
        agreements = agreements.with_facts_from(facts)
    return agreements.supposing(suppositions or [])


def agreements_for(
    folders: list[Path] | None, configuration: Path | None, home: Path | None
) -> list[Path]:
    """Return the agreements that the flags name, else those of the configuration, by default the
    home's."""
    return folders or list(agreements_in(configuration or home_at(home).configuration))


def agreement_for(folder: Path | None, home: Path | None) -> Path | None:
    """Return the agreement that the flag names, else that of the home's configuration; None for the
    built-in one. Raise InvalidInput if the configuration names several."""
    named = agreements_for([folder] if folder else None, None, home)
    if len(named) > 1:
        names = ", ".join(map(str, named))
        raise InvalidInput.of(
            what="the configuration names several agreements",
            why="this command is about one",
            where=str(home_at(home).configuration),
            remedy=f"Name it with --agreement: {names}.",
        )
    return named[0] if named else None


def catalog_of(
    folder: Path | None, home: Path | None, configuration: Path | None = None
) -> Catalog:
    """Return the names of the agreement that the flags name, else of those that the configuration
    names, with those recorded in the home."""
    return opened([folder] if folder else None, None, None, home, configuration).catalog
