"""Sign-in to the pages: a form for account and password, sessions, and a limit to guessing.

    request ── nobody has a password ──▶ the pages
            ── valid session ──▶ the screens of its reader
            ── no session ──▶ the sign-in form, which leads back
            ── no session, with a typed form ──▶ the sign-in form, which keeps it to send again

Sessions live in this process: they end with it, after twelve hours, and as soon as the password is
changed or removed.
"""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Literal, Protocol
from urllib.parse import quote, urlencode

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from clauseway.values import InvalidInput
from clauseway.web.forms import check_sent_names, form_sent, refuse_foreign
from clauseway.wording.names import sentence

SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
# Addresses that show nothing of a home.
_OPEN = frozenset({SIGN_IN, SIGN_OUT, "/healthz", "/openapi.json"})
# Addresses for programs, which are answered 401 in place of a form.
_FOR_PROGRAMS = frozenset({"/counts.json"})
_COOKIE = "clauseway-session"
_SESSION_S = 12 * 3600
# Wrong passwords in a row that are answered at once; each further one waits twice as long.
_TRIES = 5
_PAUSE_S_MAX = 300
# Accounts whose wrong passwords are counted; beyond that the oldest is dropped.
_COUNTED_MAX = 10_000
# The credentials of a sign-in: account, password and an address.
_SIGN_IN_BYTES_MAX = 4096
# Prefix of fields that were typed into another form before the sign-in.
_KEPT = "kept."
_FIELDS = ("account", "password", "next")
# Checking a password takes tens of megabytes and tenths of a second.
_TRIES_AT_ONCE = 2


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A reader of the pages: `sees` are the paths of their screens, `since_ns` is the time at which
    their password was set."""

    account: str
    sees: frozenset[str]
    since_ns: int


class Readers(Protocol):
    """The accounts that may see the pages."""

    async def are_named(self) -> bool:
        """Return whether anybody has a password; else nobody has to sign in."""
        ...

    async def named(self, account: str) -> SignedIn | None:
        """Return the reader of an account; None if the account may not see the pages now."""
        ...

    async def check(self, account: str, password: str) -> SignedIn | None:
        """Return the reader if the password is right, else None. An unknown account takes as
        long."""
        ...


class NoReaders:
    """No readers: nobody has a password, so nobody has to sign in."""

    async def are_named(self) -> bool:
        return False

    async def named(self, account: str) -> SignedIn | None:
        return None

    async def check(self, account: str, password: str) -> SignedIn | None:
        return None


class SignInContext(msgspec.Struct, frozen=True, kw_only=True):
    """The sign-in form: the account as typed, a problem, and the address of the next page.

    `kept` are fields of a form that was sent to that address after the session had ended;
    `is_signed_in` says that they can be sent again.
    """

    account: str = ""
    problem: str = ""
    next: str = "/"
    kept: Mapping[str, str] = {}
    is_signed_in: bool = False


class PageForms(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of the pages' forms by path, and the most bytes of a form."""

    fields: Mapping[str, tuple[str, ...]]
    bytes_max: int

    def kept(self, address: str, form: Mapping[str, str]) -> Mapping[str, str]:
        """Return the fields that the form at an address has."""
        path = address.partition("?")[0]
        return {name: form[name] for name in self.fields.get(path, ()) if name in form}


class SignInEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event for the operator's log: the account as typed, and the client's address."""

    event: Literal["signed in", "wrong password", "signed out"]
    account: str
    address: str


Draw = Callable[[Request, SignInContext, int], Response]
TellSignIn = Callable[[SignInEvent], None]
Clock = Callable[[], float]


class _Session(msgspec.Struct, frozen=True):
    account: str
    since_ns: int
    end_s: float


class Sessions:
    """The sessions of this process, by a digest of the browser's token."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._held: dict[bytes, _Session] = {}

    def begin(self, reader: SignedIn) -> str:
        """Begin a session; return the token that the browser keeps."""
        now_s = self._clock()
        self._held = {key: each for key, each in self._held.items() if each.end_s > now_s}
        token = secrets.token_urlsafe(32)
        session = _Session(reader.account, reader.since_ns, now_s + _SESSION_S)
        self._held[_digest(token)] = session
        return token

    async def reader(self, token: str, readers: Readers) -> SignedIn | None:
        """Return the reader of a session, if they may still see the pages with the same
        password."""
        session = self._held.get(_digest(token))
        if session is None or session.end_s <= self._clock():
            return None
        reader = await readers.named(session.account)
        return reader if reader is not None and reader.since_ns == session.since_ns else None

    def end(self, token: str) -> str:
        """End a session; return its account, empty if there is no such session."""
        session = self._held.pop(_digest(token), None)
        return "" if session is None else session.account


class Guesses:
    """Wrong passwords in a row, by account, whether the account exists or not."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._wrong: dict[str, tuple[int, float]] = {}

    def wait_s(self, account: str) -> float:
        """Return how long no password is tried for this account."""
        wrong, last_s = self._wrong.get(account, (0, 0.0))
        if wrong < _TRIES:
            return 0.0
        pause_s = min(2.0 ** (wrong - _TRIES), _PAUSE_S_MAX)
        return max(last_s + pause_s - self._clock(), 0.0)

    def wrong(self, account: str) -> None:
        """Count a wrong password."""
        count, _ = self._wrong.pop(account, (0, 0.0))
        if len(self._wrong) >= _COUNTED_MAX:
            del self._wrong[next(iter(self._wrong))]
        self._wrong[account] = (min(count + 1, 64), self._clock())

    def right(self, account: str) -> None:
        """Forget the wrong passwords of an account."""
        self._wrong.pop(account, None)


class RequireSignIn:
    """ASGI middleware: passes readers on to the pages, and redirects others to the form.

    The scope has the reader as `reader`; None if nobody has to sign in.
    """

    def __init__(
        self, app: ASGIApp, readers: Readers, sessions: Sessions, draw: Draw, forms: PageForms
    ) -> None:
        self._app, self._readers, self._sessions = app, readers, sessions
        self._draw, self._forms = draw, forms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in _OPEN:
            request = Request(scope, receive)
            token = request.cookies.get(cookie_of(_port_in(request)), "")
            reader = await self._sessions.reader(token, self._readers)
            if reader is None and await self._readers.are_named():
                answer = await self._kept(request) or _led_to_the_form(request)
                await answer(scope, receive, send)
                return
            scope["reader"] = reader
        await self._app(scope, receive, send)

    async def _kept(self, request: Request) -> Response | None:
        """Return the sign-in form with the fields of a form that was sent; None if no page has that
        form."""
        path = request.url.path
        if request.method != "POST" or path not in self._forms.fields:
            return None
        kept: Mapping[str, str] = {}
        with suppress(InvalidInput):
            kept = await form_sent(request, self._forms.bytes_max, self._forms.fields[path])
        if not kept:
            return None
        return self._draw(request, SignInContext(next=_asked(request), kept=kept), 401)


class SignIn:
    """The form's endpoints."""

    def __init__(
        self,
        readers: Readers,
        sessions: Sessions,
        draw: Draw,
        tell: TellSignIn,
        forms: PageForms,
    ) -> None:
        self._readers, self._sessions, self._draw, self._tell = readers, sessions, draw, tell
        self._forms = forms
        self._guesses = Guesses()
        self._trying = asyncio.Semaphore(_TRIES_AT_ONCE)

    async def answers(self, request: Request) -> Response:
        """Answer GET and POST at the form's address."""
        return await (self.signs_in if request.method == "POST" else self.shows)(request)

    async def shows(self, request: Request) -> Response:
        """Show the form; redirect to the next page if nobody has to sign in. Raise InvalidInput for
        a parameter that is unknown or repeated."""
        names = (name for name, _ in request.query_params.multi_items())
        check_sent_names(names, ("next",), (), "parameter")
        goes_to = within(request.query_params.get("next", ""))
        if not await self._readers.are_named():
            return RedirectResponse(goes_to, 303)
        return self._draw(request, SignInContext(next=goes_to), 200)

    async def signs_in(self, request: Request) -> Response:
        """Begin a session if the password is right, and redirect to the page that was asked for."""
        try:
            form = await self._form(request)
        except InvalidInput as error:
            return self._draw(request, SignInContext(problem=sentence(error.sentences)), 400)
        account, goes_to = form.get("account", "").strip(), within(form.get("next", ""))
        carried = {
            name.removeprefix(_KEPT): value
            for name, value in form.items()
            if name.startswith(_KEPT)
        }
        shown = SignInContext(
            account=account, next=goes_to, kept=self._forms.kept(goes_to, carried)
        )
        if waits := self._refused_for_now(request, shown):
            return waits
        async with self._trying:
            # Other tries may have failed while this one waited.
            if waits := self._refused_for_now(request, shown):
                return waits
            # INVARIANT: a try counts as wrong from its begin, so that concurrent tries count too.
            self._guesses.wrong(account)
            reader = await self._readers.check(account, form.get("password", ""))
        if reader is None:
            self._tell(_event("wrong password", account, request))
            problem = "No account here has that password."
            return self._draw(request, replace(shown, problem=problem), 403)
        self._guesses.right(account)
        self._tell(_event("signed in", account, request))
        if shown.kept:
            answer = self._draw(request, replace(shown, is_signed_in=True), 200)
        else:
            answer = RedirectResponse(goes_to, 303)
        answer.set_cookie(
            cookie_of(_port_in(request)),
            self._sessions.begin(reader),
            max_age=_SESSION_S,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return answer

    async def _form(self, request: Request) -> Mapping[str, str]:
        """Return the fields of the form, and those that it carries. Raise InvalidInput."""
        carried = {f"{_KEPT}{name}" for names in self._forms.fields.values() for name in names}
        bytes_max = self._forms.bytes_max + _SIGN_IN_BYTES_MAX
        form = await form_sent(request, bytes_max, {*_FIELDS, *carried})
        if sum(len(form.get(name, "")) for name in _FIELDS) > _SIGN_IN_BYTES_MAX:
            raise InvalidInput.of(
                what="account and password are too long",
                why=f"together they take {_SIGN_IN_BYTES_MAX:,} characters at most",
                where=SIGN_IN,
                remedy="Type them again.",
            )
        return form

    def _refused_for_now(self, request: Request, shown: SignInContext) -> Response | None:
        """Return the form that says how long to wait; None if the account may be tried."""
        wait_s = self._guesses.wait_s(shown.account)
        if wait_s <= 0:
            return None
        problem = f"Too many wrong passwords. Try again in {wait_s:.0f} s."
        answer = self._draw(request, replace(shown, problem=problem), 429)
        answer.headers["retry-after"] = str(int(wait_s) + 1)
        return answer

    async def signs_out(self, request: Request) -> Response:
        """End the session. Raise InvalidInput if another site's page asks for that."""
        refuse_foreign(request)
        answer = RedirectResponse(SIGN_IN, 303)
        if account := self._sessions.end(request.cookies.get(cookie_of(_port_in(request)), "")):
            self._tell(_event("signed out", account, request))
        answer.delete_cookie(cookie_of(_port_in(request)), httponly=True, samesite="lax")
        return answer


def cookie_of(port: int | None) -> str:
    """Return the name of the cookie at the port of an address; None where the address names none.

    A browser sends a cookie to every port of a host, so that each needs a name of its own.
    """
    return _COOKIE if port is None else f"{_COOKIE}-{port}"


def _port_in(request: Request) -> int | None:
    """Return the port that the client called; None where its address names none that can be."""
    try:
        return request.url.port
    except ValueError:
        return None


def ignore(event: SignInEvent) -> None:
    """Ignore an event."""


def _event(
    event: Literal["signed in", "wrong password", "signed out"], account: str, request: Request
) -> SignInEvent:
    address = request.client.host if request.client is not None else ""
    return SignInEvent(event=event, account=account, address=address)


def within(address: str) -> str:
    """Return an address of these pages; the first page for an address that leads elsewhere."""
    leads_elsewhere = address[1:2] in ("/", "\\") or address.split("?")[0] in (SIGN_IN, SIGN_OUT)
    return address if address.startswith("/") and not leads_elsewhere else "/"


def _led_to_the_form(request: Request) -> Response:
    if request.method not in ("GET", "HEAD") or request.url.path in _FOR_PROGRAMS:
        headers = {"cache-control": "no-store"}
        return JSONResponse({"error": {"message": "Sign in first."}}, 401, headers=headers)
    return RedirectResponse(f"{SIGN_IN}?{urlencode({'next': _asked(request)})}", 303)


def _asked(request: Request) -> str:
    """Return the address that was asked for, within these pages."""
    return quote(request.url.path) + (f"?{request.url.query}" if request.url.query else "")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
