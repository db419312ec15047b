"""Sign-in to the pages: a form for account and password, sessions, and a limit to guessing.

    request ── nobody has a password ──▶ the pages
            ── a session of somebody who may still see them ──▶ the screens that they see
            ── none ──▶ the form, which leads back
            ── none, with a form that was typed ──▶ the form, which keeps it to be sent again

Sessions are of this process: they end with it, after twelve hours, and as soon as the password is
changed or removed.
"""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Literal, Protocol
from urllib.parse import quote, urlencode

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from clauseway.web.forms import form_sent, is_foreign

SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
# Addresses that say nothing of a home.
_OPEN = frozenset({SIGN_IN, SIGN_OUT, "/healthz", "/openapi.json"})
# Addresses that programs ask for, not people: they are not led to a form.
_FOR_PROGRAMS = frozenset({"/counts.json"})
COOKIE = "clauseway-session"
_SESSION_S = 12 * 3600
# So many wrong passwords in a row are answered at once; each further one waits twice as long.
_TRIES = 5
_PAUSE_S_MAX = 300
# Accounts whose wrong passwords are counted: beyond it the first counted is forgotten.
_COUNTED_MAX = 10_000
# The credentials of a sign-in: account, password and an address.
_SIGN_IN_BYTES_MAX = 4096
# Fields with this before their name were typed into another form, which asked for a sign-in.
_KEPT = "kept."
# A try takes tens of megabytes and tenths of a second.
_TRIES_AT_ONCE = 2


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may see the pages: `sees` are paths of screens, `since_ns` is when their
    password was set."""

    account: str
    sees: frozenset[str]
    since_ns: int


class Readers(Protocol):
    """The accounts that may see the pages."""

    async def are_named(self) -> bool:
        """Return whether anybody has a password: where nobody has, nobody is asked."""
        ...

    async def named(self, account: str) -> SignedIn | None:
        """Return somebody who may see the pages at present."""
        ...

    async def check(self, account: str, password: str) -> SignedIn | None:
        """Return the reader whose password that is. A try for an account that does not exist takes
        as long."""
        ...


class NoReaders:
    """Nobody has a password: nobody is asked."""

    async def are_named(self) -> bool:
        return False

    async def named(self, account: str) -> SignedIn | None:
        return None

    async def check(self, account: str, password: str) -> SignedIn | None:
        return None


class SignInContext(msgspec.Struct, frozen=True, kw_only=True):
    """The form: what was typed as the account, what was wrong, and the address that it leads to.

    `kept` is what was typed into a form at that address when nobody was signed in any more;
    `is_signed_in` says that it can be sent again.
    """

    account: str = ""
    problem: str = ""
    next: str = "/"
    kept: Mapping[str, str] = {}
    is_signed_in: bool = False


class PageForms(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of the forms on the pages, by the paths that they are sent to, and how many bytes
    one may have."""

    fields: Mapping[str, tuple[str, ...]] = {}
    bytes_max: int = 0

    def kept(self, address: str, form: Mapping[str, str]) -> Mapping[str, str]:
        """Return what of a form belongs to the one at an address."""
        path = address.partition("?")[0]
        return {name: form[name] for name in self.fields.get(path, ()) if name in form}


class SignInEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that an operator should find in a log: what happened (`event`), for which account
    as it was typed, and the address that it came from."""

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
    """The sessions of this process, by a digest of what a browser keeps."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._held: dict[bytes, _Session] = {}

    def begin(self, reader: SignedIn) -> str:
        """Begin a session; return what the browser keeps."""
        now_s = self._clock()
        self._held = {key: each for key, each in self._held.items() if each.end_s > now_s}
        token = secrets.token_urlsafe(32)
        session = _Session(reader.account, reader.since_ns, now_s + _SESSION_S)
        self._held[_digest(token)] = session
        return token

    async def reader(self, token: str, readers: Readers) -> SignedIn | None:
        """Return whose session it is, if they may still see the pages with the same password."""
        session = self._held.get(_digest(token))
        if session is None or session.end_s <= self._clock():
            return None
        reader = await readers.named(session.account)
        return reader if reader is not None and reader.since_ns == session.since_ns else None

    def end(self, token: str) -> str:
        """End a session; return whose it was, empty where there is none."""
        session = self._held.pop(_digest(token), None)
        return "" if session is None else session.account


class Guesses:
    """Wrong passwords in a row, by account, whether the account exists or not."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._wrong: dict[str, tuple[int, float]] = {}

    def wait_s(self, account: str) -> float:
        """Return how long nothing is tried for this account any more."""
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
        """Forget what was wrong before."""
        self._wrong.pop(account, None)


class RequireSignIn:
    """ASGI middleware: lets readers through to the screens, and leads others to the form.

    The pages find the reader in the scope, as `reader`; None where nobody is asked.
    """

    def __init__(
        self, app: ASGIApp, readers: Readers, sessions: Sessions, draw: Draw, forms: PageForms
    ) -> None:
        self._app, self._readers, self._sessions = app, readers, sessions
        self._draw, self._forms = draw, forms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in _OPEN:
            request = Request(scope, receive)
            token = request.cookies.get(COOKIE, "")
            reader = await self._sessions.reader(token, self._readers)
            if reader is None and await self._readers.are_named():
                answer = await self._kept(request) or _led_to_the_form(request)
                await answer(scope, receive, send)
                return
            scope["reader"] = reader
        await self._app(scope, receive, send)

    async def _kept(self, request: Request) -> Response | None:
        """Return the form with what was typed into another form; None where that is none of
        these pages'."""
        path = request.url.path
        if request.method != "POST" or path not in self._forms.fields or is_foreign(request):
            return None
        form = await form_sent(request, self._forms.bytes_max)
        kept = self._forms.kept(path, form or {})
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
        """Answer at the form's address, whose one route names all its methods."""
        return await (self.signs_in if request.method == "POST" else self.shows)(request)

    async def shows(self, request: Request) -> Response:
        """Show the form; where nobody is asked, lead on."""
        goes_to = within(request.query_params.get("next", ""))
        if not await self._readers.are_named():
            return RedirectResponse(goes_to, 303)
        return self._draw(request, SignInContext(next=goes_to), 200)

    async def signs_in(self, request: Request) -> Response:
        """Begin a session where the password is right, and lead to where the reader came from."""
        form = await form_sent(request, self._forms.bytes_max + _SIGN_IN_BYTES_MAX)
        if form is None or is_foreign(request) or _is_long(form):
            problem = "The form was not sent from this page. Try again here."
            return self._draw(request, SignInContext(problem=problem), 400)
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
            # Others may have been tried, and been wrong, while this one waited for its turn.
            if waits := self._refused_for_now(request, shown):
                return waits
            # INVARIANT: a try counts as wrong from its begin, so that tries at once count each other.
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
            COOKIE,
            self._sessions.begin(reader),
            max_age=_SESSION_S,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return answer

    def _refused_for_now(self, request: Request, shown: SignInContext) -> Response | None:
        """Return the form that says how long nothing is tried for its account; None where it may
        be tried."""
        wait_s = self._guesses.wait_s(shown.account)
        if wait_s <= 0:
            return None
        problem = f"Too many wrong passwords. Try again in {wait_s:.0f} s."
        answer = self._draw(request, replace(shown, problem=problem), 429)
        answer.headers["retry-after"] = str(int(wait_s) + 1)
        return answer

    async def signs_out(self, request: Request) -> Response:
        """End the session."""
        answer = RedirectResponse(SIGN_IN, 303)
        if not is_foreign(request):
            if account := self._sessions.end(request.cookies.get(COOKIE, "")):
                self._tell(_event("signed out", account, request))
            answer.delete_cookie(COOKIE, httponly=True, samesite="lax")
        return answer


def ignore(event: SignInEvent) -> None:
    """Tell nobody."""


def _event(
    event: Literal["signed in", "wrong password", "signed out"], account: str, request: Request
) -> SignInEvent:
    address = request.client.host if request.client is not None else ""
    return SignInEvent(event=event, account=account, address=address)


def within(address: str) -> str:
    """Return an address of these pages; the first page for one that leads elsewhere."""
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


def _is_long(form: Mapping[str, str]) -> bool:
    """Return whether what signs in is longer than anybody types."""
    typed = (value for name, value in form.items() if not name.startswith(_KEPT))
    return sum(map(len, typed)) > _SIGN_IN_BYTES_MAX


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
