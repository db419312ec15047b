"""The doctor: is everything there that a gateway needs? Configuration, credentials, addresses,
answers, prices, permission. Nothing is changed, nothing is bought: the cloud is asked for its
models, or something it must refuse."""

import http.client
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import msgspec

from clauseway.agreement.language.actions import SELL
from clauseway.app.books.audit_log import edits
from clauseway.app.books.basis import (
    PRICES,
    Basis,
    acceptance_text,
    idle_figures,
    shipped_differently,
)
from clauseway.app.books.register import clock_problem, facts_ahead
from clauseway.app.customers.keys import hash_key_fault
from clauseway.app.opening.configuration import (
    Configuration,
    DeploymentWritten,
    missing_files,
    read_configuration,
    resolve_auth,
    settings_of,
)
from clauseway.app.opening.home import Home
from clauseway.app.opening.offerings import shipped_models
from clauseway.app.opening.places import lacks_files
from clauseway.app.opening.prices import TODO_PRICE
from clauseway.app.opening.probing import CloudAnswer, answer_to, connected
from clauseway.app.opening.restored import origin_of, refuse_beside_another
from clauseway.app.opening.several import Opened, each_of, text_hash, title_of
from clauseway.app.running.control_data import constraint_fault
from clauseway.app.running.planning import (
    prices_now,
    served_outcomes,
    snapshot_at,
    surface_at,
    tiers_at_plain_prices,
)
from clauseway.app.usage.damages import blocking_damages
from clauseway.app.usage.lake_checks import listed_lake, unknown_files, unknown_problem, usage_ahead
from clauseway.decisions import Outcome
from clauseway.files.presence import is_there
from clauseway.gateway.clouds import DIALECTS, Call, Credential
from clauseway.gateway.clouds.dialect import CHAT_COMPLETIONS
from clauseway.gateway.credentials import fetch
from clauseway.gateway.plan import Auth, Target
from clauseway.gateway.plan.settings import TlsSettings
from clauseway.gateway.process.journal_copy import follower_of
from clauseway.gateway.transport.tls import certificate_end_s
from clauseway.metering import Deployment, Unit
from clauseway.pricing import PriceTable, UnknownPrice
from clauseway.spool.copier import introduce
from clauseway.spool.follower_messages import BadMessage
from clauseway.storage.lake.digests import LakeDamaged
from clauseway.values import NOT_JSON, InvalidInput, KnownAt, Problem
from clauseway.wording.decided import refusal_sentence
from clauseway.wording.names import Wording

T = TypeVar("T")
_AT_ONCE = 8  # deployments examined together: most of the time is waiting
_CREDENTIAL_TIMEOUT_S = 30.0  # a chain of sources may try several machines that are not there
_JOURNAL_ROOM_BYTES = 64 << 20  # four segments: minutes of a busy gateway
_FILES_LEAST = 1000  # two hours of sealing, before its files are merged
_FOLLOWER_S = 5.0  # it answers within a round trip
# Whoever renews certificates does it weeks before their end.
_CERTIFICATE_LEFT_MIN = timedelta(days=7)
_CLOCK_S_MAX = 60.0  # signatures are refused from five minutes on
_MODELS = Call(b"GET", b"/models", b"")
_MESSAGES = Call(b"POST", b"/messages", b"application/json")
_RESPONSES = Call(b"POST", b"/responses", b"application/json")
_NOTHING = (
    b"{}"  # no model and no messages: it must be refused, but only by who took the credential
)
_REFUSED_AS_IT_SHOULD = (400, 404, 422)
_LISTS_WHAT_IT_SERVES = (
    "openai",
    "bedrock",
)  # Azure lists models that could be deployed, not deployments


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at.

    `found` says what it is like, `remedy` what to do where it is not well.
    """

    deployment: str
    what: str
    ok: bool
    found: str
    remedy: str = ""


class Examination(msgspec.Struct, frozen=True):
    """Everything that was looked at, in the configuration's order."""

    ok: bool
    checks: tuple[Check, ...]


class Patient(msgspec.Struct, frozen=True, kw_only=True):
    """The patient: the agreements and prices in force, and the file with the deployments."""

    opened: Opened
    prices: PriceTable
    configuration: Path
    home: Home | None = None


def examine(patient: Patient) -> Examination:
    """Look at everything. Whatever is wrong is found, not raised."""
    where = patient.configuration
    # The home is looked at even where the configuration cannot be read.
    kept = list(_home_checks(patient.home))
    try:
        configuration = read_configuration(where, patient.opened.catalog, secrets=False)
    except InvalidInput as error:
        return _examination([*_failed("configuration", *error.problems), *kept])
    count = len(configuration.deployment)
    read = _check("configuration", f"{where}: {count} deployment{'s' * (count > 1)}")
    # Each deployment waits for a cloud of its own, so they are examined side by side.
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        checks = pool.map(
            lambda written: _DeploymentChecks(patient, written, configuration).checks(),
            configuration.deployment,
        )
        missing = list(_failed("configuration", *missing_files(where, configuration)))
        # Certificates that cannot be read are told once.
        own = missing or [read, *_certificate_checks(settings_of(configuration, where).tls)]
        return _examination([*own, *kept, *(check for checks in checks for check in checks)])


def _certificate_checks(tls: TlsSettings) -> Iterator[Check]:
    """Check that clients can accept our certificate, today and in a week."""
    if not tls.certificate:
        return
    remedy = "Replace it: the gateway reads new files of [tls] within seconds."
    try:
        end_s = certificate_end_s(tls)
    except InvalidInput as error:
        yield from _failed("certificate", *error.problems)
        return
    except ssl.SSLCertVerificationError as error:
        yield _check("certificate", f"{tls.certificate}: {error.verify_message}", remedy)
        return
    end = datetime.fromtimestamp(end_s, UTC)
    ok = end - datetime.now(UTC) > _CERTIFICATE_LEFT_MIN
    text = f"{tls.certificate}: valid until {end:%Y-%m-%dT%H:%M:%SZ}"
    yield _check("certificate", text, "" if ok else remedy)


def _home_checks(home: Home | None) -> Iterator[Check]:
    """Check that no usage of the home is lost or damaged and that nobody edited its books.

    Files of the lake are known by their sizes and by what the last check of their bytes found.
    """
    if home is None or not home.is_begun:
        return
    if faults := _identity_faults(home):
        # The journals cannot be told from another home's.
        yield from _failed("home", *faults)
        return
    yield from _origin_check(home)
    problems = [damage.problem for damage in blocking_damages(home)]
    yield from _damaged("usage", problems)
    if not problems:
        yield _check(
            "usage",
            "no journal is lost; every file of the lake is there, at its size (clauseway lake "
            "check reads them)",
        )
    yield from _lake_checks(home)
    yield from _pages_checks(home)
    if fault := hash_key_fault(home):
        yield from _failed("keys", *fault.problems)
    edited = edits(home)
    yield from _failed("books", *edited)
    if not edited:
        yield _check("books", "every entry is what was recorded")
        yield from _failed("basis", *idle_figures(home))
    if lacking := constraint_fault(home):
        yield from _failed("tables", lacking)
    if ahead := facts_ahead(home):
        yield from _failed("facts", clock_problem(ahead))
    if dated_ahead := usage_ahead(home):
        yield from _failed("clock", dated_ahead)


def _identity_faults(home: Home) -> tuple[Problem, ...]:
    try:
        home.identity()
    except InvalidInput as fault:
        return fault.problems
    return ()


def _origin_check(home: Home) -> Iterator[Check]:
    """Check that a home that was restored may be served, and say of which moment it is."""
    origin = origin_of(home)
    if origin is None:
        return
    since = f"restored {origin.restored} from a backup of {origin.moment}"
    try:
        refuse_beside_another(home)
    except InvalidInput as error:
        yield _check("home", f"{since}, to be read", error.problems[0].remedy)
    else:
        yield _check("home", f"{since}: {origin.why}")


def _lake_checks(home: Home) -> Iterator[Check]:
    """Check that a lake on object storage can be reached, that each file is there, at its size, and
    that the database knows what is in the others."""
    try:
        listed = listed_lake(home)
        unknown = unknown_files(home)
    except LakeDamaged as error:
        yield from _damaged("lake", error.problems)
    except InvalidInput as error:
        yield from _failed("lake", *error.problems)
    else:
        if listed:
            yield _check("lake", listed)
        if unknown:
            yield from _failed("lake", unknown_problem(unknown))


def _is_served(home: Home) -> bool:
    """Return whether a `serve` runs at the home: it alone listens for its gateways' leases."""
    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.connect(str(home.lease_socket))
        except OSError:
            return False
    return True


def _pages_checks(home: Home) -> Iterator[Check]:
    """Check that the pages run beside the gateway, where `serve` keeps both running."""
    try:
        why = home.pages_away.read_text("utf-8").strip()
    except FileNotFoundError:
        return
    # A `serve` that was killed left its reason behind; the next one clears it.
    if not _is_served(home):
        return
    yield _check(
        "pages",
        f"the gateway serves without them: {why}",
        f"Look into {home.logs / 'pages.log'}; they are started again as soon as they can be.",
    )


def _examination(checks: Iterable[Check]) -> Examination:
    checked = tuple(checks)
    return Examination(all(check.ok for check in checked), checked)


def _with(examination: Examination, check: Check) -> Examination:
    return Examination(examination.ok and check.ok, (*examination.checks, check))


def _check(subject: str, finding: str, remedy: str = "", deployment: str = "") -> Check:
    """Return a check. What needs no remedy is well."""
    return Check(deployment=deployment, what=subject, ok=not remedy, found=finding, remedy=remedy)


def _failed(subject: str, *problems: Problem, deployment: str = "") -> Iterator[Check]:
    for problem in problems:
        text = f"{problem.what}: {problem.why}"
        yield Check(
            deployment=deployment, what=subject, ok=False, found=text, remedy=problem.remedy
        )


def _damaged(subject: str, problems: Iterable[Problem]) -> Iterator[Check]:
    """Yield a failed check for each problem, with its place."""
    for problem in problems:
        placed = f"{problem.what} ({problem.where})"
        yield from _failed(subject, msgspec.structs.replace(problem, what=placed))


class _DeploymentChecks:
    """One deployment under examination."""

    def __init__(
        self, patient: Patient, written: DeploymentWritten, configuration: Configuration
    ) -> None:
        self._patient, self._written = patient, written
        self._served = served_outcomes(configuration.unstated)
        self._tls = settings_of(configuration, patient.configuration).tls
        self._today: date = datetime.now(UTC).date()

    def checks(self) -> list[Check]:
        return [*self._reached(), *self._priced(), *self._permitted(), *self._retired()]

    def _check(self, subject: str, finding: str, remedy: str = "") -> Check:
        return _check(subject, finding, remedy, self._written.name)

    def _failed(self, subject: str, error: InvalidInput) -> Iterator[Check]:
        return _failed(subject, error.problems[0], deployment=self._written.name)

    def _retired(self) -> Iterator[Check]:
        """Names that it serves beyond their published retirement: no fault, as the cloud decides."""
        models, surface = shipped_models(), surface_at(self._written)
        names = models.named(self._written.models)
        ends = [
            models.ended(snapshot_at(self._written, product) or name, product, surface)
            for name, product in names.items()
        ]
        retired = dict.fromkeys(
            f"{ended.name} ({ended.day})"
            for ended in ends
            if ended is not None and ended.day <= self._today
        )
        if retired and not self._written.serves_retired:
            yield self._check("retirements", f"asked last for {', '.join(retired)}")

    # The cloud

    def _reached(self) -> Iterator[Check]:
        """Credential, address and answer, until one of them is not well."""
        written = self._written
        if not written.models:
            yield self._check(
                "models", "none", f"Write under models of {written.name} what is deployed there."
            )
            return
        # The credential comes first: without one nothing else can be asked.
        try:
            auth = resolve_auth(written, self._patient.configuration)
            credential = _within(_CREDENTIAL_TIMEOUT_S, lambda: fetch(auth))
        except InvalidInput as error:
            yield from self._failed("credential", error)
            return
        yield self._check("credential", _described(credential))
        # The cloud's module judges the settings before any byte is sent.
        target = target_of(written, *next(iter(written.models.items())), auth)
        try:
            DIALECTS[written.dialect].head_writer(target, credential)
        except (ValueError, KeyError) as error:
            yield self._check(
                "settings", str(error), f"Fix the url, settings or auth of {written.name}."
            )
            return
        try:
            with connected(target, self._tls) as connection:
                yield self._check("address", f"{target.url}: connected, {connection.secured}")
                call, body = harmless(target)
                answered = answer_to(connection, target, credential, call, body)
        except InvalidInput as error:
            yield from self._failed("address", error)
            return
        except (OSError, http.client.HTTPException) as error:
            yield self._check(
                "address",
                f"{target.url}: {_message(error)}",
                "Check the url, the network and its firewall.",
            )
            return
        # An error's text may quote the credential.
        said = answered.said.replace(credential.secret, "…") if credential.secret else answered.said
        yield self._judged(call, answered, said)
        if abs(answered.ahead_s) > _CLOCK_S_MAX:
            ahead = f"this machine's is {answered.ahead_s:+.0f} s from the cloud's"
            yield self._check(
                "clock", ahead, "Set the clock: signatures and tokens of another time are refused."
            )

    def _judged(self, call: Call, answered: CloudAnswer, said: str) -> Check:
        asked = (
            f"{call.method.decode()} {call.path.decode()} answered {answered.status} in "
            f"{answered.duration_ms} ms"
        )
        status = answered.status
        if status in (401, 403):
            remedy = "Check the credential, and that its owner may use this deployment."
            return self._check("answer", f"{asked}: {said}", remedy)
        if call is _MODELS and status == 200:
            return self._listed(asked, answered.body)
        if self._written.dialect == "oci" and "compartment" in said.lower():
            # Oracle looks for it before it looks at the request, and a real one would be refused
            # for it, too.
            remedy = 'Name the compartment: settings = {compartment_id = "ocid1.compartment…"}.'
            return self._check("answer", f"{asked}: {said}", remedy)
        if status == 429 or (call is not _MODELS and status in _REFUSED_AS_IT_SHOULD):
            return self._check("answer", f"{asked}: the credential is accepted")
        if 300 <= status < 400:
            return self._check(
                "answer", f"{asked}: a redirect, which is never followed", "Write the final url."
            )
        return self._check(
            "answer", f"{asked}: {said}", "Check the url and the settings of the deployment."
        )

    def _listed(self, asked: str, body: bytes) -> Check:
        if self._written.dialect not in _LISTS_WHAT_IT_SERVES:
            return self._check("answer", asked)
        try:
            there = {str(model["id"]) for model in msgspec.json.decode(body)["data"]}
        except (*NOT_JSON, KeyError, TypeError):
            return self._check(
                "answer",
                f"{asked}, but no list of models",
                "Check that the url ends where /models lies.",
            )
        missing = sorted(set(self._written.models.values()) - there)
        if missing:
            remedy = "Correct the names under models, or ask the cloud for access."
            return self._check("answer", f"{asked}, without {', '.join(missing)}", remedy)
        return self._check("answer", f"{asked}, with every model")

    # The gateway's use of it

    def _priced(self) -> Iterator[Check]:
        for product in self._written.models:
            try:
                price = prices_now(self._written, product, self._patient.prices, self._today)
            except UnknownPrice as error:
                found_none = "; ".join(f"no price for {sentence}" for sentence in error.sentences)
                yield self._check("price", found_none, TODO_PRICE)
                continue
            # Picodollars a unit are millionths of a dollar per million units.
            prices = {
                unit: f"{Decimal(price).scaleb(-6):.2f}" for unit, price in sorted(price.items())
            }
            if prices.keys() >= {Unit.INPUT_TOKENS, Unit.OUTPUT_TOKENS}:
                given, made = prices[Unit.INPUT_TOKENS], prices[Unit.OUTPUT_TOKENS]
                tokens = f"{given} and {made} USD per million tokens in and out"
                yield self._check("price", f"{product}: {tokens}{self._unpriced_tiers(product)}")
            else:
                named = ", ".join(
                    f"{price} USD per million {unit.column}" for unit, price in prices.items()
                )
                yield self._check("price", f"{product}: {named}")

    def _unpriced_tiers(self, product: str) -> str:
        tiers = tiers_at_plain_prices(self._written, product, self._patient.prices, self._today)
        named = ", ".join(tiers)
        return f"; the same in tiers without a price of their own ({named})" if tiers else ""

    def _permitted(self) -> Iterator[Check]:
        for product in self._written.models:
            try:
                yield self._permission(product)
            except InvalidInput as error:
                yield from self._failed("agreement", error)

    def _permission(self, product: str) -> Check:
        written, opened = self._written, self._patient.opened
        decisions = {
            segment: opened.decide(
                action=SELL,
                party=written.seller,
                product=product,
                cloud=written.cloud,
                segment=segment,
                region=opened.catalog.region_of(written.cloud, written.region),
                as_of=self._today,
                known_at=KnownAt(time.time_ns()),
            )
            for segment in sorted(opened.catalog.segments)
        }
        refused = {
            name: decision
            for name, decision in decisions.items()
            if decision.outcome not in self._served
        }
        text = f"{written.seller} may sell {product} on {written.cloud}"
        if any(decision.outcome is Outcome.UNSTATED for decision in decisions.values()):
            text = f"no agreement in force states that {text}; it is served as unstated"
        if not refused:
            return self._check("agreement", text)
        # An agreement may well close some segments to a seller: that is no fault of the deployment.
        if len(refused) < len(decisions):
            return self._check("agreement", f"{text}, except to {', '.join(refused)}")
        message = refusal_sentence(
            Wording.of(each_of(opened)),
            next(iter(refused.values())),
            written.seller,
            product,
            (written.cloud, ""),
        )
        return self._check(
            "agreement", message, "Take the deployment out, or record the facts that it waits for."
        )


def with_basis(examination: Examination, basis: Basis) -> Examination:
    """Add which price books the gateway and the ledger use, and whether this version ships
    others."""
    label = " › ".join(book.name for book in basis.books)
    held = (
        ", ".join(acceptance_text(acceptance) for acceptance in basis.of(PRICES))
        or f"{label}, not accepted yet"
    )
    differing = shipped_differently(basis)
    remedy = "To take them: clauseway basis prices --of-this-version --why …" if differing else ""
    said = f"{held}; this version ships other books" if differing else held
    # Books that a home holds stay right: others are an offer, not a fault.
    check = Check(deployment="", what="price book", ok=True, found=said, remedy=remedy)
    return _with(examination, check)


def with_settled_agreement(examination: Examination, basis: Basis, opened: Opened) -> Examination:
    """Add whether settlements stand on the agreement that the gateway serves by, once they stand
    on any."""
    if not basis.holds_agreement:
        return examination
    settled = basis.opened()
    said = f"settlements stand on the text that the gateway serves by: {title_of(opened)}"
    remedy = ""
    if text_hash(settled) != text_hash(opened):
        said = (
            f"settlements stand on another text of {title_of(settled)} than the gateway serves by"
        )
        remedy = "Have them stand on it: clauseway basis agreement FOLDER --why …"
    return _with(examination, _check("settled by", said, remedy))


def with_room(examination: Examination, spools: Path) -> Examination:
    """Add whether the disk of the usage journals has room: once it is full, a gateway refuses."""
    # The folder may not be there yet: its disk is that of the nearest folder above.
    folder = next(path for path in (spools, *spools.absolute().parents) if is_there(path))
    room = os.statvfs(folder)
    free = room.f_bavail * room.f_frsize
    has_files = not lacks_files(room, _FILES_LEAST)
    remedy = ""
    if free < _JOURNAL_ROOM_BYTES or not has_files:
        remedy = (
            "Make room, or a gateway will refuse requests; it goes on by itself once there is room."
        )
    files = "" if has_files else f", and {room.f_favail:,} files can still be made,"
    said = f"{free >> 20:,} MB are free{files} where usage is recorded ({spools})"
    return _with(examination, _check("journal", said, remedy))


def with_follower(examination: Examination, patient: Patient) -> Examination:
    """Add whether the journal's follower answers, and knows the same secret."""
    try:
        where = patient.configuration
        written = read_configuration(where, patient.opened.catalog, secrets=False)
        journal = settings_of(written, where).journal
    except InvalidInput:
        return examination  # told by the checks before
    if not journal.copies:
        return examination
    remedy = ""
    try:
        follower = follower_of(journal)
        address = (follower.host, follower.port)
        with socket.create_connection(address, timeout=_FOLLOWER_S) as connected:
            introduce(connected, follower.secret)
        said = f"the follower {follower.address} answers and knows the secret"
    except InvalidInput as error:
        (problem,) = error.problems
        said, remedy = f"{problem.what}: {problem.why}", problem.remedy
    except (OSError, BadMessage) as error:
        said = f"the follower {journal.follower} cannot be used: {error}"
        remedy = "Start `clauseway journal follow` there, with the same secret and release."
    return _with(examination, _check("copy", said, remedy))


def target_of(written: DeploymentWritten, product: str, model: str, auth: Auth) -> Target:
    """Return the deployment as the gateway would call it, without prices."""
    label = Deployment(written.name, written.cloud, written.seller, written.region, product, model)
    return Target(
        label=label,
        dialect=written.dialect,
        url=written.url.rstrip("/"),
        auth=auth,
        input_price=0,
        output_price=0,
        output_tokens_max=written.output_tokens_max,
        settings=written.settings,
    )


def harmless(target: Target) -> tuple[Call, bytes]:
    """Return the cheapest call that needs the credential: the models, or where there is no list
    of them, an empty request."""
    lacking = DIALECTS[target.dialect].lacks(target)
    if "models" not in lacking:
        return _MODELS, b""
    if "messages" not in lacking:
        return _MESSAGES, _NOTHING
    return (CHAT_COMPLETIONS if "chat" not in lacking else _RESPONSES), _NOTHING


def _described(credential: Credential) -> str:
    if not credential.expires_s:
        return f"{credential.kind}, without an end"
    minutes = round((credential.expires_s - time.time()) / 60)
    return f"{credential.kind}, good for {minutes} more minutes"


def _message(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _within(timeout_s: float, function: Callable[[], T]) -> T:
    """Return the function's result.

    Raise InvalidInput where it takes longer. A check that hangs is left behind in its thread.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        # The exception that ended the thread is raised again where its result is awaited.
        except BaseException as error:
            errors.append(error)

    # A daemon, so that a source that never answers does not keep the process alive.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout_s)
    if errors:
        raise errors[0]
    if results:
        return results[0]
    why = f"its source has not answered within {timeout_s:.0f} s"
    raise InvalidInput.of(
        what="no credential",
        why=why,
        where="auth",
        remedy="Check that this machine has such an identity.",
    )
