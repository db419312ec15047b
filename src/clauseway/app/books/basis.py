"""The basis of a home's settlements: prices, rates, figures, readings and agreements, as accepted.

    a flag of `settle`, first use ─┐
    `clauseway basis …`  ──────────┴─▶ register (who, when, why) ─▶ Basis ─▶ every command that
                                                                            prices or settles

A command that settles, credits or verifies takes its inputs from here. A flag may only say what
the home holds already, or what it does not hold yet; anything else is refused with the command
that changes it. Facts have a register of their own (`app.books.register`).
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from functools import lru_cache
from pathlib import Path

import msgspec

from clauseway.agreement.language.definitions import Figure
from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.app.opening.kept_prices import former_prices
from clauseway.app.opening.library import SHIPPED
from clauseway.app.opening.list_prices import listed_book
from clauseway.app.opening.locks import locked
from clauseway.app.opening.prices import own_book, own_rates, shipped_books
from clauseway.app.opening.revenue_shares import check_assumed
from clauseway.app.opening.several import (
    Opened,
    agreements_of,
    each_of,
    figures_of,
    open_agreements,
    own_readings,
    text_hash,
    with_recorded,
)
from clauseway.decisions.joint_answers import in_their_order
from clauseway.ledger import Settlement, check_sellers, read_assumptions, read_rates
from clauseway.ledger.assumptions import is_same_value, items_of, replace_items
from clauseway.ledger.exchange_rates import Rate, Rates
from clauseway.pricing import PriceBook, PriceTable, parse_book
from clauseway.pricing.price_table import table_digest
from clauseway.storage import Control
from clauseway.storage.books.basis import (
    Acceptance,
    Accepting,
    Edited,
    Holding,
    accept,
    acceptances,
    holding,
    is_kept,
    kept_digests,
    text_digest,
    text_of,
)
from clauseway.storage.books.books import latest_settlement
from clauseway.storage.control.actor import acting
from clauseway.values import InvalidInput, KnownAt, Problem, checked_reason, refuse_any

PRICES, RATES, ASSUMPTION, READING, AGREEMENT = (
    "prices",
    "rates",
    "assumption",
    "reading",
    "agreement",
)
# The command that changes a kind, and what stands for the new value in it.
COMMANDS: Mapping[str, str] = {
    PRICES: "clauseway basis prices FILE --why …",
    RATES: "clauseway basis rates FILE --why …",
    ASSUMPTION: "clauseway basis assume {name}=VALUE --why …",
    READING: "clauseway basis read {name}=OPTION --why …",
    AGREEMENT: "clauseway basis agreement FOLDER --why …",
}
FLAGS: Mapping[str, str] = {
    PRICES: "--prices",
    RATES: "--rates",
    ASSUMPTION: "--assume",
    READING: "--reading",
    AGREEMENT: "--agreement",
}
# The number of a stack's books that came with the program: the shipped one and the public list.
_OF_PROGRAM = 2


class _Book(msgspec.Struct, frozen=True, kw_only=True):
    """A book of a stack: its name, the digest that receipts use, and the text that is kept of
    it."""

    name: str
    digest: str
    text: str


class _ParsedRates(msgspec.Struct, frozen=True, kw_only=True):
    """Rates of an older home, which kept what was read of them and not their text."""

    rates: tuple[Rate, ...]
    digest: str


class Basis:
    """The basis of a home at one point.

    For a kind that the home does not hold, the shipped one applies.
    """

    def __init__(self, home: Home, held: Holding, texts: Callable[[str], str]) -> None:
        self.held = held
        self.home, self._text = home, texts

    def of(self, kind: str) -> list[Acceptance]:
        """Return the acceptances of one kind that hold."""
        return [acceptance for acceptance in self.held.values() if acceptance.kind == kind]

    @property
    def books(self) -> tuple[PriceBook, ...]:
        """Return the price books, the first over the others."""
        # A kind without names (prices, rates) is held at most once.
        for acceptance in self.of(PRICES):
            stack = self._stack(acceptance)
            return tuple(_book(book, self._text(book.text)) for book in stack)
        return shipped_books()

    def _stack(self, acceptance: Acceptance) -> tuple[_Book, ...]:
        return _books_in(self._text(acceptance.digest))

    @property
    def prices_digest(self) -> str:
        """Return the digest that a table of these prices has, without reading the books; empty
        where no prices are held."""
        for acceptance in self.of(PRICES):
            books = [book.digest for book in self._stack(acceptance)]
            rates = self.rates
            return table_digest(books + ([rates.digest] if rates else []))
        return ""

    def digest_of(self, name: str) -> str:
        """Return the digest of the text of a book or of rates that hold, by name; else empty."""
        texts = {book.name: book.text for held in self.of(PRICES) for book in self._stack(held)}
        return texts.get(name) or next(
            (held.digest for held in self.of(RATES) if held.label == name), ""
        )

    @property
    def rates(self) -> Rates | None:
        """Return the dated exchange rates, or None."""
        return next(
            (
                _rates(acceptance.label, self._text(acceptance.digest))
                for acceptance in self.of(RATES)
            ),
            None,
        )

    @property
    def assume(self) -> list[str]:
        """Return the accepted figures, as `--assume` takes them."""
        return [
            item
            for acceptance in self.of(ASSUMPTION)
            for item in items_of(acceptance.name, acceptance.label)
        ]

    @property
    def readings(self) -> dict[str, str]:
        """Return the chosen readings."""
        return {acceptance.name: acceptance.label for acceptance in self.of(READING)}

    @property
    def holds_agreement(self) -> bool:
        return bool(self.of(AGREEMENT))

    def prices(self, known_at: KnownAt) -> PriceTable:
        """Return the price table of the books and rates, as known at a point."""
        return PriceTable(self.books, known_at, self.rates)

    def opened(self) -> Opened:
        """Return the agreements with the facts recorded in the home; the built-in one where none
        is held."""
        texts = [
            msgspec.json.decode(self._text(acceptance.digest), type=dict[str, str])
            for acceptance in self.of(AGREEMENT)
        ]
        opened = agreements_of(texts) if texts else open_agreements([])
        return with_recorded(opened, self.home)


# Reading the basis


@contextmanager
def _control(home: Home) -> Iterator[Control | None]:
    """Return the home's database; None where there is none: reading never makes one."""
    if not home.is_begun:
        yield None
        return
    with open_control(home) as control:
        yield control


def basis_of(home: Home, known_at: KnownAt | None = None) -> Basis:
    """Return what a home's settlements stand on: now, or as accepted by an instant."""
    with _control(home) as control:
        if control is None:
            return Basis(home, {}, _no_text)
        recorded = acceptances(control)
        if not recorded:
            return _carried(home, control)
        return Basis(
            home, holding(recorded, known_at.instant_ns if known_at else None), _reader(home)
        )


def refuse_before_agreement(home: Home, basis: Basis, known_at: KnownAt) -> None:
    """Raise InvalidInput if the home has accepted an agreement, and had none at that instant: the
    built-in one is nothing that this home ever settled under."""
    accepted = [each for each in history(home) if each.kind == AGREEMENT and not each.is_withdrawal]
    if basis.holds_agreement or not accepted:
        return
    first = accepted[0]
    day = KnownAt(first.recorded_ns).day
    raise InvalidInput.of(
        what=f"this home held no agreement by {known_at.day}",
        why=f"its first, {first.label}, was accepted on {day}",
        where="--known-at",
        remedy=f"Name {day} or a later day. What an earlier amendment makes due: --under AMENDMENT.",
    )


def history(home: Home) -> list[Acceptance]:
    """Return everything that was ever accepted or withdrawn in a home, in order."""
    with _control(home) as control:
        return [] if control is None else acceptances(control)


def held_text(home: Home, named: str) -> str:
    """Return a text of the register, by its digest or by the name of a book or of rates that hold.

    Raise InvalidInput where no text has that digest or name.
    """
    with _control(home) as control:
        if control is not None:
            digest = named if is_kept(control, named) else basis_of(home).digest_of(named)
            if digest:
                return _checked_text(control, digest)
    remedy = "Take a name from `clauseway basis`, a digest from `clauseway basis history --json`."
    why = "nothing with it was accepted here"
    raise InvalidInput.of(what=f"no text {named!r}", why=why, where="TEXT", remedy=remedy)


def _checked_text(control: Control, digest: str) -> str:
    """Return a text of the register.

    Raise InvalidInput where it is not the one that was accepted.
    """
    try:
        return text_of(control, digest)
    except (Edited, KeyError) as error:
        why = (
            "it is gone" if isinstance(error, KeyError) else "it is not what was accepted under it"
        )
        problem, remedy = f"the text {digest} was edited", "Restore the database from a backup."
        raise InvalidInput.of(what=problem, why=why, where="basis", remedy=remedy) from None


def text_problems(control: Control) -> tuple[Problem, ...]:
    """Return a problem for each text of the register that is not the one that was accepted."""
    problems: dict[str, Problem] = {}

    def read(digest: str) -> str:
        try:
            return _checked_text(control, digest)
        except InvalidInput as error:
            problems[digest] = error.problems[0]
            return ""

    recorded = [acceptance for acceptance in acceptances(control) if not acceptance.is_withdrawal]
    stacks = [read(acceptance.digest) for acceptance in recorded if acceptance.kind == PRICES]
    named = {acceptance.digest for acceptance in recorded}
    named |= {book.text for stack in stacks if stack for book in _books_in(stack)}
    for digest in sorted(named.union(kept_digests(control))):
        read(digest)
    return tuple(problems.values())


def _no_text(digest: str) -> str:
    raise AssertionError(f"nothing is held, {digest} neither")


def _reader(home: Home) -> Callable[[str], str]:
    def read(digest: str) -> str:
        with _control(home) as control:
            assert control is not None, "what is held was read from this database"
            return _checked_text(control, digest)

    return read


def _carried(home: Home, control: Control) -> Basis:
    """Return the basis of a home from before the register: its last settlement's.

    Nothing is recorded yet.
    """
    texts: dict[str, str] = {}
    held: dict[tuple[str, str], Acceptance] = {}
    posted = latest_settlement(control)
    # Sequence 0 marks acceptances that no register holds.
    for acceptance in _of_settlement(home, posted) if posted is not None else ():
        texts |= {text_digest(text): text for text in (acceptance.text, *acceptance.parts)}
        held[acceptance.kind, acceptance.name] = Acceptance(
            sequence=0,
            recorded_ns=0,
            kind=acceptance.kind,
            name=acceptance.name,
            label=acceptance.label,
            digest=text_digest(acceptance.text),
            who="nobody named",
            why="settled with it before this home kept a register",
        )
    return Basis(home, held, texts.__getitem__)


def _of_settlement(home: Home, posted: Settlement) -> Iterator[Accepting]:
    kept = former_prices(home, posted.inputs.price_book)
    if kept is not None:
        books, rates = kept
        yield _stack(books)
        if rates is not None:
            yield _accepting_rates(rates)
    for figure in posted.assumptions:
        if figure.accepted:
            yield _plain(ASSUMPTION, figure.name, figure.value)


def _plain(kind: str, name: str, value: str) -> Accepting:
    return Accepting(kind=kind, name=name, label=value, text=value)


def _books_in(stack: str) -> tuple[_Book, ...]:
    return msgspec.json.decode(stack, type=tuple[_Book, ...])


def _stack(books: Sequence[PriceBook]) -> Accepting:
    # A book of an older home has no text: what was read of it is kept instead.
    texts = [book.text or msgspec.json.encode(book).decode() for book in books]
    stack = [
        _Book(name=book.name, digest=book.digest, text=text_digest(text))
        for book, text in zip(books, texts, strict=True)
    ]
    return Accepting(
        kind=PRICES,
        name="",
        label=" › ".join(book.name for book in books),
        text=msgspec.json.encode(stack).decode(),
        parts=tuple(texts),
    )


# Every page that names a price reads the same few books.
@lru_cache(maxsize=4)
def _book(kept: _Book, text: str) -> PriceBook:
    # Three texts are kept: what an older home had read of a book, the entries of the public list,
    # and a book as somebody wrote it.
    if text.startswith("{"):
        return msgspec.json.decode(text, type=PriceBook)
    if not text or text.startswith("["):
        return listed_book(kept.name, text)
    return parse_book(text, kept.name)


def _accepting_rates(rates: Rates) -> Accepting:
    text = rates.text
    if not text:
        text = msgspec.json.encode(_ParsedRates(rates=rates.all, digest=rates.digest)).decode()
    return Accepting(kind=RATES, name="", label=rates.source, text=text)


def _rates(source: str, text: str) -> Rates:
    if text.startswith("{"):
        parsed = msgspec.json.decode(text, type=_ParsedRates)
        return Rates(parsed.rates, source, parsed.digest)
    return read_rates(text, source)


# The basis of settlements, by digest


def settled_prices(home: Home, digest: str, known_at: KnownAt) -> PriceTable:
    """Return the prices that a month was settled with, by their digest. If the home never kept
    those prices, return the present ones, whose digest differs."""
    # A digest can be told without reading a book, so every state is tried, the latest first.
    for basis in _states(home, (PRICES, RATES)):
        if basis.prices_digest == digest:
            return basis.prices(known_at)
    if former := former_prices(home, digest):
        books, rates = former
        return PriceTable(books, known_at, rates)
    return basis_of(home).prices(known_at)


def _states(home: Home, kinds: Sequence[str]) -> Iterator[Basis]:
    """Yield the basis of a home after each change of these kinds, the latest first."""
    recorded, read = history(home), _reader(home)
    for end in range(len(recorded), 0, -1):
        if recorded[end - 1].kind in kinds:
            yield Basis(home, holding(recorded[:end]), read)


def settled_agreement(home: Home, digest: str) -> Opened:
    """Return the agreements that a month was settled under, by the digest of their texts; those that
    the home holds now if it never held them."""
    for basis in _states(home, (AGREEMENT,)):
        if basis.holds_agreement and text_hash(basis.opened()) == digest:
            return basis.opened()
    return basis_of(home).opened()


def held_agreement(home: Home, digest: str) -> Opened | None:
    """Return the agreements that have this digest; None if the home does not hold them, and never
    held them."""
    opened = settled_agreement(home, digest)
    return opened if text_hash(opened) == digest else None


# Accept inputs at their first use; refuse any others


class NamedBasis(msgspec.Struct, frozen=True, kw_only=True):
    """The basis that a command's flags name; empty where they leave it to the home."""

    prices: Path | None = None
    rates: Path | None = None
    agreements: tuple[Path, ...] = ()


def given_prices(basis: Basis, given: NamedBasis, known_at: KnownAt) -> PriceTable:
    """Return the prices that flags name, over what the home holds. Raise InvalidInput."""
    books = basis.books
    if given.prices is not None:
        # An own book takes the place of the home's; those of the program stay below it.
        books = (own_book(given.prices), *books[-_OF_PROGRAM:])
    rates = basis.rates if given.rates is None else own_rates(given.rates)
    return PriceTable(books, known_at, rates)


def sellers_of(basis: Basis) -> set[str]:
    """Return who may sell by the agreements that the home holds and those that ship."""
    opened = [*each_of(basis.opened()), *each_of(open_agreements(SHIPPED))]
    return {party for asked in opened for party in asked.catalog.parties}


def given_agreements(home: Home, basis: Basis, given: NamedBasis) -> Opened:
    """Return the agreements that flags name, else those of the home. Raise InvalidInput."""
    if not given.agreements:
        return basis.opened()
    return with_recorded(open_agreements(given.agreements), home)


class FirstUse(msgspec.Struct, frozen=True, kw_only=True):
    """The basis of a settlement, and the part of it that the home does not hold yet."""

    accepting: tuple[Accepting, ...]
    assume: tuple[str, ...]
    readings: Mapping[str, str]


def first_use(
    control: Control,
    basis: Basis,
    opened: Opened,
    prices: PriceTable,
    assume: Sequence[str],
    readings: Mapping[str, str],
) -> FirstUse:
    """Hold what a settlement would use against what the home holds. Raise InvalidInput, naming
    the command that changes it, for everything that is another."""
    posted = latest_settlement(control)
    carried = [acceptance for acceptance in basis.held.values() if not acceptance.sequence]
    figures = figures_of(opened)
    wanted = [
        *_wanted_prices(basis, prices),
        *_wanted_rates(basis, prices),
        *_wanted_agreements(basis, opened),
        *_wanted_figures(basis, assume, figures, posted),
        *_wanted_readings(basis, opened, readings, posted),
    ]
    new = _without_problems(wanted)
    figures_given = (acceptance for acceptance in new if acceptance.kind == ASSUMPTION)
    items = [item for figure in figures_given for item in items_of(figure.name, figure.label)]
    return FirstUse(
        accepting=(*_carried_over(basis, carried), *new),
        assume=tuple(replace_items(basis.assume, items)),
        readings=basis.readings
        | {acceptance.name: acceptance.label for acceptance in new if acceptance.kind == READING},
    )


def _without_problems(wanted: Sequence[Accepting | Problem]) -> list[Accepting]:
    """Return the acceptances. Raise InvalidInput with the problems: nothing is recorded unless
    everything agrees with the basis held."""
    refuse_any([item for item in wanted if isinstance(item, Problem)])
    return [item for item in wanted if isinstance(item, Accepting)]


def _carried_over(basis: Basis, carried: Iterable[Acceptance]) -> Iterator[Accepting]:
    """Yield the basis that an older home settled with, to be recorded once the register begins."""
    for acceptance in carried:
        if acceptance.kind == PRICES:
            yield _stack(basis.books)
        elif acceptance.kind == RATES:
            rates = basis.rates
            assert rates is not None, "rates are held"
            yield _accepting_rates(rates)
        else:
            yield _plain(acceptance.kind, acceptance.name, acceptance.label)


def _wanted_prices(basis: Basis, prices: PriceTable) -> Iterator[Accepting | Problem]:
    held = basis.of(PRICES)
    if not held:
        yield _stack(prices.books)
    elif [book.digest for book in prices.books] != [book.digest for book in basis.books]:
        yield _held_otherwise(held[0], "another price book than this home holds")


def _wanted_rates(basis: Basis, prices: PriceTable) -> Iterator[Accepting | Problem]:
    held, rates = basis.of(RATES), prices.rates
    if not held and isinstance(rates, Rates):
        yield _accepting_rates(rates)
    elif held and (rates is None or rates.digest != getattr(basis.rates, "digest", "")):
        yield _held_otherwise(held[0], "other exchange rates than this home holds")


def _wanted_agreements(basis: Basis, opened: Opened) -> Iterator[Accepting | Problem]:
    held = {acceptance.name: acceptance for acceptance in basis.of(AGREEMENT)}
    accepting = [accepting_agreement(asked) for asked in each_of(opened)]
    if not held:
        yield from (acceptance for acceptance in accepting if acceptance.text)
        return
    given = {acceptance.name: text_digest(acceptance.text) for acceptance in accepting}
    if given != {name: acceptance.digest for name, acceptance in held.items()}:
        yield _held_otherwise(next(iter(held.values())), "another agreement than this home holds")


def accepting_agreement(opened: Opened) -> Accepting:
    """Return an agreement with its texts, to be recorded."""
    [asked] = each_of(opened)
    text = msgspec.json.encode(dict(asked.documents), order="sorted").decode()
    title = asked.agreement.title
    return Accepting(kind=AGREEMENT, name=asked.agreement.id, label=title, text=text)


def _wanted_figures(
    basis: Basis, assume: Sequence[str], figures: Mapping[str, Figure], posted: Settlement | None
) -> Iterator[Accepting | Problem]:
    held = {acceptance.name: acceptance for acceptance in basis.of(ASSUMPTION)}
    settled = (
        {assumption.name: assumption.value for assumption in posted.assumptions} if posted else {}
    )
    # The home's own figure goes first, then the last settlement's; a new one is accepted.
    for acceptance in accepting_figures(assume, figures):
        if acceptance.name in held:
            if not is_same_value(held[acceptance.name].label, acceptance.label):
                yield _another_value(acceptance, held[acceptance.name])
        elif acceptance.name in settled and not is_same_value(
            settled[acceptance.name], acceptance.label
        ):
            yield _another_default(acceptance, settled[acceptance.name])
        else:
            yield acceptance


def accepting_figures(
    assume: Sequence[str], figures: Mapping[str, Figure], where: str = "--assume"
) -> list[Accepting]:
    """Return figures accepted by name or with a value, to be recorded. Raise InvalidInput."""
    read_assumptions(assume, figures, where)
    values: dict[str, list[str]] = {}
    for name, _, value in ([part.strip() for part in item.partition("=")] for item in assume):
        text = value or figures[name].value
        if text not in values.setdefault(name, []):
            values[name].append(text)
    return [_plain(ASSUMPTION, name, "; ".join(text)) for name, text in values.items()]


def _wanted_readings(
    basis: Basis, opened: Opened, readings: Mapping[str, str], posted: Settlement | None
) -> Iterator[Accepting | Problem]:
    held = {acceptance.name: acceptance for acceptance in basis.of(READING)}
    for acceptance in accepting_readings(opened, readings):
        default = next(
            asked.agreement.readings[acceptance.name].default
            for asked in each_of(opened)
            if acceptance.name in asked.agreement.readings
        )
        if acceptance.name in held:
            if held[acceptance.name].label != acceptance.label:
                yield _another_value(acceptance, held[acceptance.name])
        # Months are posted under the default already, so another option is a change of the basis.
        elif posted is not None and acceptance.label != default:
            yield _another_default(acceptance, default)
        else:
            yield acceptance


def accepting_readings(opened: Opened, readings: Mapping[str, str]) -> list[Accepting]:
    """Chosen readings, to be recorded. Raise InvalidInput."""
    for asked in each_of(opened):
        own_readings(opened, asked, readings)
    return [_plain(READING, name, option) for name, option in readings.items()]


def _held_otherwise(held: Acceptance, subject: str) -> Problem:
    return _another(held, subject, f"this home stands on {acceptance_text(held)}")


def _another_value(given: Accepting, held: Acceptance) -> Problem:
    return _held_otherwise(held, f"{given.name}={given.label}")


def _another_default(given: Accepting, settled: str) -> Problem:
    return _another(given, f"{given.name}={given.label}", f"this home settled with {settled}")


def _another(acceptance: Acceptance | Accepting, subject: str, why: str) -> Problem:
    command = COMMANDS[acceptance.kind].format(name=acceptance.name)
    return Problem(
        what=subject,
        why=why,
        where=FLAGS[acceptance.kind],
        remedy=f"Leave it out, or change it: {command}.",
    )


def acceptance_text(held: Acceptance) -> str:
    """Say what was accepted, by whom, when and why."""
    named = f"{held.name} = {held.label}" if held.kind in (ASSUMPTION, READING) else held.label
    if not held.sequence:
        return f"{named} ({held.why})"
    return f"{named}, accepted by {held.who} on {KnownAt(held.recorded_ns).day}: {held.why}"


def reasons(control: Control, basis: Basis, since: Settlement) -> dict[str, str]:
    """Say, by kind (and `assumption:NAME`, `reading:NAME`), who changed since a settlement what
    it stood on, and why. Empty for whatever nobody changed."""
    recorded = acceptances(control)
    texts = {}
    for kind in (PRICES, RATES, AGREEMENT):
        if changed := _changed(basis, recorded, kind, since):
            texts[kind] = " and ".join(map(_reason, changed))
    for kind in (ASSUMPTION, READING):
        for acceptance in recorded:
            if acceptance.kind == kind and acceptance.sequence > 0:
                texts[f"{kind}:{acceptance.name}"] = _reason(acceptance)
    return texts


def _changed(
    basis: Basis, recorded: Sequence[Acceptance], kind: str, since: Settlement
) -> list[Acceptance]:
    """Return the acceptances of a kind that came after the last state that a settlement stood
    on."""
    rows = [acceptance for acceptance in recorded if acceptance.kind == kind]
    states = [holding(recorded[: recorded.index(row) + 1]) for row in rows]
    for place in reversed(range(len(rows))):
        then = Basis(basis.home, states[place], _reader(basis.home))
        if _stood_on(then, kind, since):
            return rows[place + 1 :]
    return rows[1:]


def _stood_on(then: Basis, kind: str, since: Settlement) -> bool:
    if kind == AGREEMENT:
        return text_hash(then.opened()) == since.inputs.agreement
    return then.prices_digest == since.inputs.price_book


def stands_otherwise(basis: Basis, settled: Settlement) -> list[str]:
    """Name what a settlement stood on and the home holds or knows otherwise by now: kinds, facts,
    figures."""
    differences = []
    inputs, opened = settled.inputs, basis.opened()
    other_prices = basis.of(PRICES) and (
        basis.prices(KnownAt.everything()).digest != inputs.price_book
    )
    if other_prices or _prices_came(basis, settled):
        differences.append("prices or rates")
    other_text = text_hash(opened) != inputs.agreement
    if (other_text and basis.holds_agreement) or _amendments_came(opened, settled):
        differences.append("the agreement")
    if not other_text and _facts_came(opened, settled):
        differences.append("the facts")
    held = {acceptance.name: acceptance.label for acceptance in basis.of(ASSUMPTION)}
    for figure in settled.assumptions:
        value = held.get(figure.name, "" if figure.accepted else figure.value)
        if not is_same_value(value, figure.value):
            differences.append(f"the figure {figure.name}")
    if chosen_readings(opened, basis.readings) != (inputs.readings or {}):
        differences.append("a reading")
    return differences


def _prices_came(basis: Basis, settled: Settlement) -> bool:
    """Return whether a price that holds in a settled month became known since it was settled."""
    entries = (entry for book in basis.books for entry in book.entries)
    return _came(settled, ((entry.known_at, entry.interval.begin) for entry in entries))


def _amendments_came(opened: Opened, settled: Settlement) -> bool:
    """Return whether an amendment in effect in a settled month became known since it was settled."""
    amendments = (
        amendment for asked in each_of(opened) for amendment in asked.agreement.amendments
    )
    held = ((amendment.known, amendment.effective) for amendment in amendments)
    return _came(settled, held)


def _came(settled: Settlement, texts: Iterable[tuple[KnownAt, date]]) -> bool:
    """Return whether a text became known after a settlement that it could change. Each of `texts` is
    the point at which a text became known, and the day from which it holds."""
    # A settlement that knew everything names the point after all that is ever recorded.
    then, now = KnownAt.parse(settled.inputs.known_at), KnownAt(time.time_ns())
    end = settled.period.end
    return then < now and any(then < known <= now and begin < end for known, begin in texts)


def _facts_came(opened: Opened, settled: Settlement) -> bool:
    """Return whether facts became known since a settlement that could change its month."""
    known_at = KnownAt(time.time_ns())
    # Receipts of before facts were told have none.
    digests = settled.inputs.facts.split("+") if settled.inputs.facts else []
    for asked, digest in zip(in_their_order(each_of(opened)), digests, strict=False):
        facts = [fact for fact in asked.facts.facts if fact.known <= known_at]
        # The register only grows: what was known then is its beginning, up to one of its facts.
        points = sorted({KnownAt.always(), *(fact.known for fact in facts)}, reverse=True)
        then = next((point for point in points if asked.facts_digest(point) == digest), None)
        if then is None:
            return True
        later = [fact for fact in facts if fact.known > then]
        if any(fact.corrects or fact.effective < settled.period.end for fact in later):
            return True
    return False


def chosen_readings(opened: Opened, readings: Mapping[str, str]) -> dict[str, str]:
    """Return the readings that are not the default: choosing the default says nothing new."""
    defaults = {
        (name, reading.default)
        for asked in each_of(opened)
        for name, reading in asked.agreement.readings.items()
    }
    return dict(sorted(set(readings.items()) - defaults))


def _reason(acceptance: Acceptance) -> str:
    """`changed by anna on 2026-06-02 (book.csv), because …`."""
    verb = "withdrawn" if acceptance.is_withdrawal else "changed"
    named = f" ({acceptance.label})" if acceptance.label else ""
    return (
        f"{verb} by {acceptance.who} on {KnownAt(acceptance.recorded_ns).day}{named}, because "
        f"{acceptance.why}"
    )


def first_prices(home: Home, file: Path | None) -> list[Accepting]:
    """Return the price book that a command names for a home that holds none yet, to be recorded.

    Raise InvalidInput where the home holds another.
    """
    if file is None:
        return []
    basis = basis_of(home)
    prices = given_prices(basis, NamedBasis(prices=file), KnownAt.everything())
    return _without_problems(list(_wanted_prices(basis, prices)))


def record(home: Home, accepting: Sequence[Accepting], why: str) -> list[Acceptance]:
    """Append acceptances by the acting person, now."""
    if not accepting:
        return []
    with open_control(home) as control:
        return accept(control, accepting, who=acting(), why=why, recorded_ns=time.time_ns())


def record_first_use(
    home: Home, accepting: Callable[[], Sequence[Accepting]], why: str
) -> list[Acceptance]:
    """Append what a command is the first to use, by the acting person, now.

    `accepting` is asked while nobody changes the basis: what somebody accepted since the command
    began stays, and refuses anything else.
    """
    with locked(home, "basis"):
        return record(home, accepting(), why)


# Changing the basis


def _change(
    home: Home, why: str, accepting: Callable[[Basis], Sequence[Accepting]]
) -> list[Acceptance]:
    """Accept something else than a home holds, by the acting person. Return the new acceptances.

    `accepting` returns what to accept in place of what a basis holds. Accepting again what the home
    holds changes nothing. Raise InvalidInput for want of a reason, and for figures and readings
    that the agreements of the home do not have.
    """
    reason = checked_reason(why, "whoever reads the corrections that this causes is told why")
    # What is wrong, or held already, is told before a home is made.
    if not _new(basis := basis_of(home), accepting(basis)):
        return []
    # Of two who change it at once, the later one changes what the earlier one accepted.
    with locked(home, "basis"):
        basis = basis_of(home)
        new = _new(basis, accepting(basis))
        carried = [acceptance for acceptance in basis.held.values() if not acceptance.sequence]
        # Recorded first, so that the register shows what the change replaced.
        if new and carried:
            before = "settled with it before the register began"
            record(home, list(_carried_over(basis, carried)), before)
        return record(home, new, reason)


def _new(basis: Basis, accepting: Sequence[Accepting]) -> list[Accepting]:
    return [acceptance for acceptance in accepting if not _is_held(basis, acceptance)]


def _is_held(basis: Basis, acceptance: Accepting) -> bool:
    held = basis.held.get((acceptance.kind, acceptance.name))
    if held is None:
        return not acceptance.text
    return held.digest == (text_digest(acceptance.text) if acceptance.text else "")


def change_prices(
    home: Home, why: str, *, file: Path | None, of_this_version: bool, alone: bool
) -> list[Acceptance]:
    """Accept a price book of the operator's, or the books of this version, or drop one's own.

    With `file` it goes before the books held; `of_this_version` replaces those that came with an
    earlier version; `alone` drops the operator's own. Raise InvalidInput.
    """
    given = () if file is None else (own_book(file),)

    def accepting(basis: Basis) -> list[Accepting]:
        held = basis.books
        own = given or (() if alone else held[:-_OF_PROGRAM])
        program = shipped_books() if of_this_version else held[-_OF_PROGRAM:]
        return [_stack([*own, *program])]

    return _change(home, why, accepting)


def change_rates(home: Home, why: str, file: Path) -> list[Acceptance]:
    """Accept dated exchange rates. Raise InvalidInput."""
    accepting = [_accepting_rates(own_rates(file))]
    return _change(home, why, lambda _: accepting)


def change_figures(
    home: Home, why: str, assume: Sequence[str], withdraw: Sequence[str] = ()
) -> list[Acceptance]:
    """Accept figures by name or with a value, and withdraw others. Raise InvalidInput."""

    def accepting(basis: Basis) -> list[Accepting]:
        opened = basis.opened()
        accepted = accepting_figures(assume, figures_of(opened), "NAME=VALUE")
        check_assumed(opened, assume, "NAME=VALUE")
        return [*accepted, *_withdrawing(basis, ASSUMPTION, withdraw)]

    return _change(home, why, accepting)


def idle_figures(home: Home) -> list[Problem]:
    """Return a problem for each held figure without an effect: of a seller that is no party, whose
    misspelt name earlier versions accepted, or that no share of the present text takes."""
    basis = basis_of(home)
    if not basis.assume:
        return []
    opened = basis.opened()
    try:
        check_sellers(basis.assume, opened.catalog.parties, "clauseway basis")
    except InvalidInput as error:
        remedy = (
            "Accept it with the right name (clauseway basis assume wholesale=SELLER:PART --why …), "
            "or withdraw it (clauseway basis assume --withdraw wholesale --why …)."
        )
        return [
            msgspec.structs.replace(
                problem,
                what=f"wholesale= is held for the {problem.what}",
                remedy=f"{problem.remedy} {remedy}".lstrip(),
            )
            for problem in error.problems
        ]
    return list(_untaken(basis, opened))


def _untaken(basis: Basis, opened: Opened) -> Iterator[Problem]:
    """Yield a problem for each held figure that no share takes."""
    for item in basis.assume:
        try:
            check_assumed(opened, [item], "clauseway basis")
        except InvalidInput as error:
            name = item.partition("=")[0]
            remedy = f"Withdraw it: clauseway basis assume --withdraw {name} --why …."
            [problem] = error.problems
            yield msgspec.structs.replace(
                problem, what=f"{item} is held and has no effect", remedy=remedy
            )


def replaced(home: Home, changed: Sequence[Acceptance]) -> Iterator[tuple[Acceptance, Acceptance]]:
    """Yield those of the recorded changes that took the place of another acceptance, each with
    the former one, whoever recorded it and however shortly before."""
    recorded = history(home)
    for change in changed:
        former = [
            acceptance
            for acceptance in recorded
            if (acceptance.kind, acceptance.name) == (change.kind, change.name)
            and acceptance.sequence < change.sequence
        ]
        if former and not former[-1].is_withdrawal:
            yield change, former[-1]


def change_readings(
    home: Home, why: str, readings: Mapping[str, str], withdraw: Sequence[str] = ()
) -> list[Acceptance]:
    """Choose how texts are read, and withdraw choices. Raise InvalidInput."""

    def accepting(basis: Basis) -> list[Accepting]:
        chosen = accepting_readings(basis.opened(), readings)
        return [*chosen, *_withdrawing(basis, READING, withdraw)]

    return _change(home, why, accepting)


def change_agreements(home: Home, why: str, folders: Sequence[Path]) -> list[Acceptance]:
    """Accept the texts of agreements; none named is the built-in one of this version.

    Raise InvalidInput: unsound texts, and figures or readings that are held and that the new
    texts do not have.
    """
    opened = open_agreements(list(folders))
    accepted = [accepting_agreement(asked) for asked in each_of(opened)]
    kept = {acceptance.name for acceptance in accepted}

    def accepting(basis: Basis) -> list[Accepting]:
        accepting_figures(basis.assume, figures_of(opened))
        accepting_readings(opened, basis.readings)
        gone = [held.name for held in basis.of(AGREEMENT) if held.name not in kept]
        return [*accepted, *_withdrawing(basis, AGREEMENT, gone)]

    return _change(home, why, accepting)


def _withdrawing(basis: Basis, kind: str, names: Sequence[str]) -> list[Accepting]:
    held = {acceptance.name for acceptance in basis.of(kind)}
    problems = [
        Problem(
            what=f"{name} is not held",
            why="nobody accepted it here",
            where="--withdraw",
            remedy=f"Held: {', '.join(sorted(held)) or 'none'}.",
        )
        for name in names
        if name not in held
    ]
    refuse_any(problems)
    return [Accepting(kind=kind, name=name, label="", text="") for name in names]


def shipped_differently(basis: Basis) -> bool:
    """Return whether this version ships other price books than those that a home holds."""
    held = [book.digest for book in basis.books[-_OF_PROGRAM:]]
    return held != [book.digest for book in shipped_books()]
