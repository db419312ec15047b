"""The one list of commands, under the headings that `--help` shows, and the tree built from it.

Only the command that is run is imported, so `--help` stays quick and a question does not load a
database.
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
import typer

from clauseway.cli.help import GroupedHelp
from clauseway.start import load

BEGIN, AGREEMENT, GATEWAY = "Begin", "Agreement", "Gateway"
USAGE, MONEY, CUSTOMERS = "Usage", "Money", "Customers"


class Command(msgspec.Struct, frozen=True):
    """A command: its line in the help, and the function that runs it."""

    help: str
    module: str
    function: str = "command"
    heading: str = ""

    def load(self) -> Callable[..., object]:
        function: Callable[..., object] = getattr(_module(self.module), self.function)
        return function


class Export(Command, frozen=True, kw_only=True):
    """An export that differs from others by its format alone: `function` makes the command from
    this record.

    `about` follows the first line in the command's own help: what is written, and examples.
    """

    form: str
    about: str

    def load(self) -> Callable[..., object]:
        make: Callable[[Export], Callable[..., object]] = getattr(
            _module(self.module), self.function
        )
        return make(self)

    @property
    def text(self) -> str:
        """Return the help of the command itself."""
        return f"{self.help}\n\n{self.about}"


class Group(msgspec.Struct, frozen=True):
    """A noun with commands: those of a module's typer group, or those listed `below`."""

    help: str
    module: str = ""
    attribute: str = "app"
    heading: str = ""
    about: str = ""
    below: Mapping[str, "Entry"] = {}

    def load(self) -> typer.Typer:
        if self.below:
            return typer.Typer(
                help=self.about or self.help, rich_markup_mode=None, no_args_is_help=True
            )
        group: typer.Typer = getattr(_module(self.module), self.attribute)
        return group


Entry: TypeAlias = Command | Group


def _module(name: str) -> Any:
    return load(f"clauseway.cli.{name}")


HELP_FLAGS = ("--help", "-h")
# Commands that change nothing, whatever they are given.
_ONLY_ANSWER = frozenset(
    {
        *("decide", "prove", "verify", "price", "audit log", "audit verify"),
        *("statement explain", "statement verify"),
        *(f"agreement {word}" for word in ("list", "terms", "timeline", "diff", "brief", "check")),
    }
)
# What to do where a command is looked for that would undo what the books keep.
INSTEAD_OF: Mapping[str, str] = {
    "books reopen": "A closed month stays closed: settle the open month, which states what came "
    "later as corrections: `clauseway settle --period MONTH`.",
}
_SUGGESTED_MAX = 3  # of a name that more groups have, as `list`, none is likelier than another
COMMANDS: Mapping[str, Entry] = {
    "up": Command(
        "Play the night of the amendment: clouds, gateway, pages, traffic, statement.",
        "gateway.up",
        heading=BEGIN,
    ),
    "init": Command(
        "Write a first configuration, from three answers.", "gateway.init", heading=BEGIN
    ),
    "mcp": Command(
        "Let assistants ask: decisions, changes, prices, usage and statements, over MCP.",
        "mcp",
        heading=BEGIN,
    ),
    "decide": Command(
        "Ask the agreement: who may do what, where and when, and why.",
        "agreement.decide",
        heading=BEGIN,
    ),
    "agreement": Group(
        "Read, compare, check and write agreements.",
        heading=AGREEMENT,
        about="Read an agreement, compare its states, check it, and write one of your own: "
        "a folder of Markdown, one file per amendment, read by lawyers and by Clauseway alike.",
        below={
            "list": Command("List the agreements that ship.", "agreement.agreement", "list_"),
            "terms": Command(
                "Show the terms in force on a day, as known on a day.", "agreement.terms"
            ),
            "timeline": Command(
                "Show rights over the years, as a table and as a picture.", "agreement.timeline"
            ),
            "diff": Command(
                "Show what changes between amendments, days or states of knowledge.",
                "agreement.diff",
            ),
            "brief": Command(
                "Tell an amendment on a page, each sentence with its clause.", "agreement.brief"
            ),
            "check": Command(
                "Check a text: conflicts, gaps, overlaps, terms without effect.", "agreement.check"
            ),
            "rehearse": Command(
                "Play recorded traffic and settled months under a draft amendment.",
                "agreement.rehearse",
            ),
            "listings": Group(
                "Hold listing histories against ship-first, and show listed prices.",
                "agreement.listings",
            ),
            "new": Command("Begin an agreement of your own.", "agreement.agreement", "new"),
            "fmt": Command("Lay out an agreement's YAML in one way.", "agreement.agreement", "fmt"),
            "schema": Command(
                "Print the JSON Schema of the YAML, for editors.", "agreement.agreement", "schema"
            ),
        },
    ),
    "fact": Group("Record facts and list them.", "agreement.fact", heading=AGREEMENT),
    "prove": Command(
        "Prove an outcome never, or always, holds; or find a counterexample.",
        "agreement.prove",
        heading=AGREEMENT,
    ),
    "verify": Command(
        "Repeat a decision from its receipt: the same, or what differs.",
        "agreement.verify",
        heading=AGREEMENT,
    ),
    "export": Group(
        "Write the agreement, the journal or usage in other formats.",
        heading=AGREEMENT,
        about="The journal and the agreement in other programs' formats.",
        below={
            "beancount": Export(
                "Write the journal as beancount text, which bean-check accepts.",
                "money.export",
                "journal_in",
                form="beancount",
                about="""\b
All of it:
  clauseway export beancount --out journal.beancount
What Microsoft books for May:
  clauseway export beancount --period 2026-05 --party microsoft""",
            ),
            "hledger": Export(
                "Write the journal as an hledger journal, which `hledger check --strict` accepts.",
                "money.export",
                "journal_in",
                form="hledger",
                about="""\b
Balances as hledger sees them:
  clauseway export hledger --out books.journal
  hledger -f books.journal balance""",
            ),
            "focus": Command(
                "Write a month's charges as a bill in FOCUS.",
                "money.export",
                "focus",
            ),
            "focus-invoices": Command(
                "Write invoices in FOCUS 1.4: lines, and the charges behind them.",
                "money.export",
                "focus_invoices",
            ),
            "parquet": Command(
                "Write journal.parquet and lines.parquet into a folder.", "money.export", "parquet"
            ),
            "cloudevents": Command(
                "Write metered usage as CloudEvents 1.0, one JSON line an attempt.",
                "money.export",
                "cloudevents",
            ),
            "usage": Command(
                "Write sealed usage to a file: every record once, or summed by hour.",
                "usage.export",
                "usage",
            ),
            "cedar": Command(
                "Write the agreement in force as Cedar policies, each with its term.",
                "agreement.export",
                "cedar",
            ),
            "rego": Export(
                "Write the agreement in force as a Rego module, each rule with its term.",
                "agreement.export",
                "agreement_in",
                form="rego",
                about="""\
The module is of Rego v1. The input is a question ({"action": "serve", "party": "openai", "product":
"gpt-5.5", "cloud": "aws"}); data.clauseway.outcome is one of the four outcomes. Of several
agreements each has a file of its own, and a text says how their answers are joined.

\b
The agreement with ship-first read with "or":
  clauseway export rego --as-of 2026-05-01 --reading R1=or --out partnership.rego
Two agreements in force at once (both.NAME.rego, and how to join them in both.combination.txt):
  clauseway export rego --agreement ours --agreement theirs --out both.rego""",
            ),
            "odrl": Export(
                "Write the agreement in force as an ODRL 2.2 policy, each rule with its term.",
                "agreement.export",
                "agreement_in",
                form="odrl",
                about="""\
A permitted act is a permission, a forbidden act a prohibition, a conditional act a permission with
duties; an act that no rule reaches is unstated. Actions and operands are a profile,
defined in the same file (JSON-LD); the policy lists what an evaluator that does not know it cannot
tell, and no equivalence is claimed. Of several agreements each has a file of its own, and a text
says how their answers are joined.

\b
The agreement from the end of exclusivity on:
  clauseway export odrl --as-of 2026-04-27 --out partnership.jsonld""",
            ),
        },
    ),
    "config": Group(
        "Check the gateway's configuration, show it, make it from LiteLLM's.",
        "gateway.config",
        heading=GATEWAY,
    ),
    "doctor": Command(
        "Examine what a gateway needs: credentials, clouds, prices, permission.",
        "gateway.doctor",
        heading=GATEWAY,
    ),
    "serve": Command("Run the gateway and the pages.", "gateway.serve", heading=GATEWAY),
    "home": Group(
        "Back a home up, restore it, move its control data to a server.",
        "gateway.home",
        heading=GATEWAY,
    ),
    "gateway": Group(
        "Try a gateway: simulated clouds, replayed traffic, models, commitments.",
        heading=GATEWAY,
        about="Try a gateway and look ahead; `clauseway serve` runs one, `clauseway doctor` examines it.",
        below={
            "models": Command(
                "Show models, their names and ends, and what each surface lacks.",
                "gateway.models",
            ),
            "commitments": Command(
                "Show how commitments to clouds burn down, and where that leads.",
                "gateway.commitments",
            ),
            "sandbox": Command("Run the simulated clouds.", "gateway.sandbox"),
            "replay": Command("Send recorded traffic through a gateway.", "gateway.replay"),
        },
    ),
    "usage": Group(
        "Show, import, keep and reconcile usage; follow one request.",
        heading=USAGE,
        about="Usage: as metered here, as imported from elsewhere (each record once, checked row "
        "by row), as it lies on disk, and beside a cloud's bill.",
        below={
            "show": Command("Show what was used, by whom and where.", "usage.usage", "show"),
            "request": Command(
                "Show what became of one request, attempt by attempt.", "usage.request"
            ),
            "import": Command("Import usage that others counted.", "usage.usage", "import_"),
            "quarantine": Group(
                "Rows that cannot be true: list, correct, drop.", "usage.usage", "quarantine"
            ),
            "reconcile": Command(
                "Compare a cloud's bill with what was metered, and why.", "usage.reconcile"
            ),
            "allocate": Command(
                "Say what each team cost in a month, from all clouds' bills.", "usage.allocate"
            ),
            "expand": Command(
                "Fill the lake with usage made from real demand.", "usage.usage", "expand_command"
            ),
        },
    ),
    "lake": Group(
        "The sealed usage on disk, and keeping it in shape.", "usage.lake", heading=USAGE
    ),
    "spool": Group("The usage journals, and what of them was lost.", "usage.spool", heading=USAGE),
    "journal": Group(
        "Keep copies of journals on another machine; recover a lost one.",
        "usage.journal",
        heading=USAGE,
    ),
    "settle": Command(
        "Settle a month from metered usage, under assumptions accepted by name.",
        "money.settle",
        heading=MONEY,
    ),
    "statement": Group(
        "Print a settled month, open its lines, sign it and verify it.",
        "money.statement",
        heading=MONEY,
    ),
    "forecast": Command(
        "When is the cap reached, what is due each year, what is saved.",
        "money.forecast",
        heading=MONEY,
    ),
    "price": Command(
        "Show what usage costs, by which entry of which book, and why; check a book.",
        "money.price",
        heading=MONEY,
    ),
    "basis": Group(
        "What settlements stand on: show it, change it, by whom and why.",
        "money.basis",
        heading=MONEY,
    ),
    "books": Group(
        "Close months, invoice, pay, credit, dispute; the journal.",
        heading=MONEY,
        about="The books: months closed, invoices, payments, credits, disputes, the journal.",
        below={
            "close": Command(
                "Close a month: from then on its statement never changes.", "money.close"
            ),
            "invoice": Command(
                "Invoice what is owed through a closed month, in any currency.", "money.invoice"
            ),
            "payment": Command(
                "Record a payment on an invoice, with what is withheld.", "money.payment"
            ),
            "credit": Command(
                "Take a charge back, at the time of what it reverses.", "money.credit"
            ),
            "dispute": Group("Charges in dispute: open, resolve, list.", "money.dispute"),
            "journal": Command("List the journal with running balances.", "money.journal"),
        },
    ),
    "audit": Group(
        "Who did what to the books, and whether anybody edited them beside that.",
        heading=MONEY,
        about="The log of who wrote what, when and why. Every write of a key, budget, fact, entry, "
        "settlement, invoice, payment, credit, dispute, close or batch of usage is a row of that "
        "log, chained by digests. The account that logged in stands for the person.",
        below={
            "log": Command("List who did what to the books, when and why.", "money.audit", "log"),
            "verify": Command(
                "Check the books against the log: were they edited?", "money.audit", "verify"
            ),
            "restart": Command(
                "Begin a broken log again, by whom and why.", "money.audit", "restart"
            ),
        },
    ),
    "person": Group(
        "Who may write what, what two write together, who reads the pages.",
        "money.person",
        heading=MONEY,
    ),
    "party": Group(
        "The parties' keys, which statements are signed with.", "money.party", heading=MONEY
    ),
    "organisation": Group(
        "Organisations that buy, and how their requests are routed.",
        "customers.organisation",
        heading=CUSTOMERS,
    ),
    "project": Group("The parts of an organisation.", "customers.project", heading=CUSTOMERS),
    "key": Group("Make, rotate and revoke customers' keys.", "customers.key", heading=CUSTOMERS),
    "limit": Group("What may be asked in a minute.", "customers.limit", heading=CUSTOMERS),
    "budget": Group("What may be spent, and what is.", "customers.budget", heading=CUSTOMERS),
}


def program(given: Sequence[str], options: Callable[..., None]) -> Any:
    """Return all commands by name, of which only the command that is asked for is imported.

    `options` takes the options that stand before any command.
    """
    root = typer.Typer(
        cls=GroupedHelp,
        help="A clause is a way: an agreement decides, routes, meters and settles.",
        epilog="Begin with `clauseway up`, or ask: clauseway decide --help",
        context_settings={"help_option_names": list(HELP_FLAGS)},
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    root.callback()(options)
    _add(root, COMMANDS, list(given) or _words_to_complete())
    return _in_order(typer.main.get_command(root), COMMANDS)


def _in_order(command: Any, entries: Mapping[str, Entry]) -> Any:
    """Put commands into the order of the list: typer has groups after all others."""
    command.commands = {name: command.commands[name] for name in entries}
    for name, entry in entries.items():
        if isinstance(entry, Group) and entry.below and command.commands[name].commands:
            _in_order(command.commands[name], entry.below)
    return command


def paths_like(given: Sequence[str]) -> list[str]:
    """Return the commands that may be meant by words that name none, as `gateway models`.

    None where the words name a command: what follows it are values.
    Commands with all of the words, in any order; else those named by the first unknown word alone:
    of the group that was named, else of others, unless many have one.
    """
    words = tuple(word for word in given if not word.startswith("-"))
    paths = list(_paths(COMMANDS, ()))
    unknown = next((i for i in range(len(words)) if words[: i + 1] not in paths), None)
    if unknown is None or _is_command(words[:unknown], paths):
        return []
    named = set(words[: unknown + 1])
    with_all = [path for path in paths if unknown and named == set(path)]
    if with_all:
        return [" ".join(path) for path in with_all]
    alike = [path for path in paths if path[-1] == words[unknown]]
    of_group = [path for path in alike if unknown and path[:unknown] == words[:unknown]]
    if len(alike) > _SUGGESTED_MAX:
        alike = []
    return [" ".join(path) for path in of_group or alike]


def beside_with(context: Any, flag: str) -> list[str]:
    """Return the commands of the same group that have a flag which the command of `context` lacks;
    none where many have it."""
    words = context.command_path.split()[1:]
    if len(words) <= 1:
        return []  # the commands of the root are no group
    *path, own = words
    entries = COMMANDS
    for word in path:
        entry = entries.get(word)
        entries = entry.below if isinstance(entry, Group) else {}
    # A group's own module is loaded with all its commands; of those in the list, only the one named.
    flags = {name: _flags_of(below) for name, below in context.parent.command.commands.items()}
    flags |= {name: _flags_in(entry) for name, entry in entries.items() if name != own}
    having = [name for name, names in flags.items() if flag in names]
    return [" ".join((*path, name)) for name in having] if len(having) <= _SUGGESTED_MAX else []


def _flags_in(entry: Entry) -> set[str]:
    if isinstance(entry, Group):
        return set()
    alone = typer.Typer()
    try:
        alone.command()(entry.load())
    except ModuleNotFoundError:
        return set()  # the installation lacks a library that the command needs
    return _flags_of(typer.main.get_command(alone))


def _flags_of(command: Any) -> set[str]:
    return {flag for parameter in command.params for flag in parameter.opts}


def _is_command(words: tuple[str, ...], paths: Collection[tuple[str, ...]]) -> bool:
    """Return whether words name a command, not a group of them."""
    return bool(words) and not any(path[: len(words)] == words != path for path in paths)


def path_in(given: Sequence[str]) -> str:
    """Return the command that words name, without what is given to it: `gateway sandbox`."""
    words = tuple(given)
    named = [path for path in _paths(COMMANDS, ()) if words[: len(path)] == path]
    longest = max(named, key=len, default=words[:1])
    return " ".join(longest)


def only_answers(given: Sequence[str]) -> bool:
    """Return whether words name a command that changes nothing. No command is loaded for it."""
    return any(" ".join(given[:length]) in _ONLY_ANSWER for length in (1, 2))


def line_of(path: str) -> str:
    """Return the line that help shows for a command or group. A command that only its group's module
    knows gets the group's line."""
    entries, line = COMMANDS, ""
    for word in path.split():
        if word not in entries:
            break
        entry = entries[word]
        entries, line = entry.below if isinstance(entry, Group) else {}, entry.help
    return line


def _paths(entries: Mapping[str, Entry], before: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command and group, as they stand in the tree."""
    for name, entry in entries.items():
        yield (*before, name)
        if not isinstance(entry, Group):
            continue
        yield from _paths(entry.below, (*before, name))
        if entry.module:
            try:
                command = typer.main.get_command(entry.load())
            except ModuleNotFoundError:
                continue  # the installation lacks a library that the group needs
            yield from _paths_below(command, (*before, name))


def _paths_below(command: Any, before: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, below in getattr(command, "commands", {}).items():
        yield (*before, name)
        yield from _paths_below(below, (*before, name))


def _add(group: typer.Typer, entries: Mapping[str, Entry], words: Sequence[str]) -> None:
    """Add every entry: the one that the words name as it is, the others by name and line alone."""
    # The first word that is no flag names the command; only that one is imported.
    wanted = next((word for word in words if not word.startswith("-")), "")
    after = words[words.index(wanted) + 1 :] if wanted else []
    for name, entry in entries.items():
        if isinstance(entry, Command):
            function = entry.load() if name == wanted else _nothing
            group.command(name, short_help=entry.help, rich_help_panel=entry.heading or None)(
                function
            )
            continue
        below = entry.load() if name == wanted else typer.Typer(callback=_nothing)
        if name == wanted:
            _add(below, entry.below, after)
        group.add_typer(
            below, name=name, short_help=entry.help, rich_help_panel=entry.heading or None
        )


def _words_to_complete() -> list[str]:
    """Return the words that a shell asks to complete, without the program's name.

    Bash has a variable of its own for them.
    """
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    return line.split()[1:]


def _nothing() -> None:
    """Stands for a command that was not asked for."""
