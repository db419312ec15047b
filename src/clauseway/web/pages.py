"""The ASGI application: every page of `page_list`, and these addresses

    GET /download/…    a statement or a ledger as a file
    GET /engineer/monitoring/…
                       files for a monitoring system
    GET /counts.json   the counts, as the first page's script asks for them
    GET /sign-in       the form that begins a session (POST); POST /sign-out ends it
    GET /openapi.json  these addresses, as an OpenAPI document
    GET /healthz       whether the pages are up

Every page is one document; the content security policy lets nothing in but its own script and
style.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.resources import files
from shlex import quote

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from clauseway.values import VERSION, Damaged, InvalidInput, Problem
from clauseway.web import monitoring
from clauseway.web.contexts import Unavailable
from clauseway.web.drawing import environment
from clauseway.web.engineer import MONITORING, MONITORING_FILES
from clauseway.web.forms import check_sent_names, form_sent
from clauseway.web.openapi import pages_document
from clauseway.web.page import Given, WebPage
from clauseway.web.page_list import (
    ENGINEER_SCREEN,
    FILES,
    FILES_SCREENS,
    PAGES,
    SCREENS,
    PageSource,
)
from clauseway.web.sign_in import (
    SIGN_IN,
    SIGN_OUT,
    NoReaders,
    PageForms,
    Readers,
    RequireSignIn,
    Sessions,
    SignedIn,
    SignIn,
    SignInContext,
    TellSignIn,
    ignore,
)
from clauseway.wording.names import sentence

_Endpoint = Callable[[Request], Awaitable[Response]]

# Host names of a browser on this machine. With any other Host a foreign page points its own name
# here (DNS rebinding).
LOOPBACK_HOSTS = ("127.0.0.1", "localhost")
# A form as sent, in which a character takes up to nine bytes: an amendment has some kilobytes, a
# statement of a thousand lines a megabyte.
_FORM_BYTES_MAX = 4 << 20
_FORMS = PageForms(
    fields={page.path: page.form for page in PAGES if page.form}, bytes_max=_FORM_BYTES_MAX
)


def create_app(
    source: PageSource,
    *,
    hosts: Sequence[str] = LOOPBACK_HOSTS,
    readers: Readers | None = None,
    sessions: Sessions | None = None,
    tell: TellSignIn = ignore,
) -> Starlette:
    """Return the pages over `source`, which answer only to the host names in `hosts` (`*`: any).

    Readers must sign in once anybody has a password; `tell` is called with each try.
    """
    pages = _Pages(source)
    readers, sessions = readers or NoReaders(), sessions or Sessions()
    sign_in = SignIn(readers, sessions, pages.sign_in, tell, _FORMS)
    app = Starlette(
        routes=[
            *(Route(page.path, pages.shows(page), methods=_methods(page)) for page in PAGES),
            Route(FILES, pages.without_parameters(pages.file)),
            Route(MONITORING, pages.without_parameters(pages.monitoring)),
            Route(SIGN_IN, sign_in.answers, methods=["GET", "POST"]),
            Route(SIGN_OUT, sign_in.signs_out, methods=["POST"]),
            Route("/counts.json", pages.without_parameters(pages.counts)),
            Route("/openapi.json", _openapi),
            Route("/healthz", _healthz),
        ],
        middleware=[
            Middleware(RequireOwnHost, hosts=hosts),
            # Readers are looked up before any page is asked for, and the source may be unavailable.
            Middleware(ExceptionMiddleware, handlers={Unavailable: pages.unavailable}),
            Middleware(
                RequireSignIn,
                readers=readers,
                sessions=sessions,
                draw=pages.sign_in,
                forms=_FORMS,
            ),
        ],
        exception_handlers={
            404: pages.not_found,
            405: pages.wrong_method,
            500: pages.failed,
            InvalidInput: pages.refused,
            Unavailable: pages.unavailable,
        },
    )
    app.router.redirect_slashes = False  # an address with a slash at its end is another address
    return app


class RequireOwnHost:
    """Refuses requests for another host name: a foreign name that points here reads nothing."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "*" in self._hosts or scope["type"] == "lifespan" or self._is_own(scope):
            await self._app(scope, receive, send)
            return
        addresses = " or ".join([f"http://{host}" for host in sorted(self._hosts)])
        words = (
            "The pages answer by no other name: whoever has one that points here could read them "
            f"through your browser.\nOpen them as {addresses}, with their port.\n"
        )
        await PlainTextResponse(words, status_code=400)(scope, receive, send)

    def _is_own(self, scope: Scope) -> bool:
        host, _, port = Headers(scope=scope).get("host", "").partition(":")
        return host.lower() in self._hosts and (not port or port.isdecimal())


def _methods(page: WebPage[PageSource]) -> list[str]:
    return ["GET", "POST"] if page.form else ["GET"]


async def _healthz(request: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _openapi(request: Request) -> Response:
    return JSONResponse(pages_document(VERSION))


def _account(request: Request) -> str:
    """Return the reader's account; empty if nobody has to sign in."""
    reader: SignedIn | None = request.scope.get("reader")
    return "" if reader is None else reader.account


def _sees(request: Request, screen: str) -> bool:
    if "reader" not in request.scope:
        return False  # no reader was looked up: the address is open, or readers are unavailable
    reader: SignedIn | None = request.scope["reader"]
    return reader is None or screen in reader.sees


def _seen_under(request: Request, screens: Sequence[str]) -> str:
    """Return the first screen that the reader sees; empty for none."""
    return next((screen for screen in screens if _sees(request, screen)), "")


def _sent(name: str, kind: str, content: bytes) -> Response:
    headers = {
        "content-disposition": f'attachment; filename="{name}"',
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }
    return Response(content, media_type=kind, headers=headers)


async def _query_sent(request: Request, page: WebPage[PageSource]) -> dict[str, list[str]]:
    """Return the parameters of a page's address, and the fields of the form sent to it. Raise
    InvalidInput for one that the page does not take."""
    sent = request.query_params
    check_sent_names(
        (name for name, _ in sent.multi_items()), page.query, page.repeatable, "parameter"
    )
    query = {name: sent.getlist(name) for name in page.query}
    if request.method == "POST":
        form = await form_sent(request, _FORM_BYTES_MAX, page.form, page.command)
        query |= {name: [value] for name, value in form.items()}
    return query


class _Pages:
    def __init__(self, source: PageSource) -> None:
        self._source = source
        self._templates = environment()

    def shows(self, page: WebPage[PageSource]) -> _Endpoint:
        """Return the endpoint of a page of the list."""

        async def show(request: Request) -> Response:
            screen = _seen_under(request, (page.screen, *page.also))
            if not screen:
                return self._not_seen(request, page.screen)
            try:
                query = await _query_sent(request, page)
            except InvalidInput as error:
                return self._refusal(request, 400, error.problems[0], screen)
            context = await page.ask(self._source, Given(request.path_params, query))
            if context is None:
                absent = page.absent
                what, why, remedy = (
                    text.format(**request.path_params)
                    for text in (absent.what, absent.why, absent.remedy)
                )
                return self._problem(request, 404, what, why, remedy, screen=screen)
            drawn = {
                page.name: context,
                "form_bytes_max": _FORM_BYTES_MAX,
                "form_command": page.command,
                "is_sent": request.method == "POST",
            }
            return self._page(request, f"{page.name}.html.j2", drawn, screen=screen)

        return show

    def without_parameters(self, endpoint: _Endpoint) -> _Endpoint:
        """Return an endpoint that refuses each parameter of its address."""

        async def answer(request: Request) -> Response:
            try:
                check_sent_names(request.query_params, (), (), "parameter")
            except InvalidInput as error:
                return self._refusal(request, 400, error.problems[0])
            return await endpoint(request)

        return answer

    async def file(self, request: Request) -> Response:
        """Send a file to download. Its name comes from the source, not from the address."""
        if not _seen_under(request, FILES_SCREENS):
            return self._not_seen(request, FILES_SCREENS[0])
        sent = await self._source.file(**request.path_params)
        if sent is None:
            return await self.not_found(request, LookupError())
        return _sent(sent.name, sent.kind, sent.content)

    async def monitoring(self, request: Request) -> Response:
        """Send a file for a monitoring system."""
        if not _sees(request, ENGINEER_SCREEN):
            return self._not_seen(request, ENGINEER_SCREEN)
        for file in MONITORING_FILES:
            if file.name == request.path_params["name"]:
                content = files(monitoring).joinpath(file.name).read_bytes()
                return _sent(file.name, file.kind, content)
        return await self.not_found(request, LookupError())

    async def counts(self, request: Request) -> Response:
        try:
            counts = await self._source.counts()
        except Unavailable as error:
            # Not 503: a browser would write an error to its console once a second.
            return JSONResponse({"unavailable": str(error)})
        headers = {"cache-control": "no-store"}
        return Response(msgspec.json.encode(counts), media_type="application/json", headers=headers)

    async def not_found(self, request: Request, error: Exception) -> Response:
        return self._problem(
            request,
            404,
            "There is no such page",
            f"Nothing is at {request.url.path}.",
            "Go to the first page, or to /statement/ followed by a month such as 2026-05.",
        )

    async def wrong_method(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        allowed = (error.headers or {}).get("Allow", "")
        path, methods = request.url.path, " and ".join(sorted(allowed.split(", ")))
        answer = self._problem(
            request,
            405,
            f"This page does not take {request.method}",
            f"{path} takes {methods}.",
            "Open it in a browser, or send its form from there.",
        )
        answer.headers["allow"] = allowed
        return answer

    async def refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, InvalidInput)
        problem = error.problems[0]
        # An invalid path names nothing (404); an invalid query or form is a bad request (400).
        status = 404 if request.path_params else 400
        if isinstance(error, Damaged):
            status = 500
        return self._refusal(request, status, problem)

    async def failed(self, request: Request, error: Exception) -> Response:
        """Answer 500. The error itself goes only to the log of this process."""
        why = f"This is a failure of ours, not of your input: {type(error).__name__}."
        remedy = "The log of the pages, where clauseway serve writes, shows where it came from."
        return self._problem(request, 500, "The page cannot be shown", why, remedy)

    async def unavailable(self, request: Request, error: Exception) -> Response:
        what, remedy = "The page cannot be shown right now", "Reload it in a moment."
        return self._problem(request, 503, what, str(error), remedy)

    def sign_in(self, request: Request, context: SignInContext, status: int) -> Response:
        """Draw the sign-in form, or a form typed before sign-in, to send it again."""
        name = "send_again.html.j2" if context.is_signed_in else "sign_in.html.j2"
        return self._page(request, name, {"sign_in": context}, status, screen="")

    def _not_seen(self, request: Request, screen: str) -> Response:
        label = next(entry.label for entry in SCREENS if entry.path == screen)
        remedy = f"Ask the operator: clauseway person password {quote(_account(request))} …"
        what = f"You may not see the screen {label}"
        return self._problem(request, 403, what, "Your account has other screens.", remedy)

    def _refusal(
        self, request: Request, status: int, problem: Problem, screen: str = ""
    ) -> Response:
        what, why = sentence(problem.what), f"{sentence(problem.why).removesuffix('.')}."
        return self._problem(request, status, what, why, problem.remedy, screen)

    def _problem(
        self, request: Request, status: int, problem: str, why: str, remedy: str, screen: str = ""
    ) -> Response:
        words = {"what": problem, "why": why, "remedy": remedy}
        return self._page(request, "problem.html.j2", words, status, screen=screen)

    def _page(
        self,
        request: Request,
        name: str,
        context: Mapping[str, object],
        status: int = 200,
        *,
        screen: str,
    ) -> Response:
        # A nonce for each answer: no injected style or script is run.
        nonce = secrets.token_urlsafe(16)
        shown = [entry for entry in SCREENS if _sees(request, entry.path)]
        html = self._templates.get_template(name).render(
            nonce=nonce,
            standalone=False,
            screens=shown,
            # A page links only to what its reader may open.
            seen={entry.path for entry in shown},
            screen=screen,
            links=[page for page in PAGES if page.link and page.screen == screen],
            path=request.url.path,
            reader=_account(request),
            monitoring=MONITORING_FILES,
            **context,
        )
        policy = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
            "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; "
            "frame-ancestors 'none'"
        )
        headers = {
            "content-security-policy": policy,
            # By `no-referrer` a browser would send the origin `null` with forms of these pages.
            "referrer-policy": "same-origin",
            "x-content-type-options": "nosniff",
            "cache-control": "no-store",
        }
        return HTMLResponse(html, status_code=status, headers=headers)
