"""The ASGI application: every page of `page_list`, and beside them

    GET /download/…    a statement or a ledger as a file
    GET /counts.json   the counts, as the first page's script asks for them
    GET /openapi.json  these addresses, as an OpenAPI document
    GET /healthz       whether the pages are up

Every page is one document; the content security policy lets nothing in but its own script and
style.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.metadata import version

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from clauseway.values import InvalidInput
from clauseway.web.contexts import Unavailable
from clauseway.web.drawing import environment
from clauseway.web.openapi import pages_document
from clauseway.web.page_list import FILES, PAGES, SCREENS, Given, PageSource, WebPage

# Names a browser on this machine uses. Any other Host means that a foreign page had its name point
# here.
LOOPBACK_HOSTS = ("127.0.0.1", "localhost")


def create_app(source: PageSource, *, hosts: Sequence[str] = LOOPBACK_HOSTS) -> Starlette:
    """Return the pages over `source`, answering to the host names in `hosts` alone (`*` for
    any)."""
    pages = _Pages(source)
    app = Starlette(
        routes=[
            *(Route(page.path, pages.shows(page)) for page in PAGES),
            Route(FILES, pages.file),
            Route("/counts.json", pages.counts),
            Route("/openapi.json", _openapi),
            Route("/healthz", _healthz),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
        exception_handlers={
            404: pages.not_found,
            500: pages.failed,
            InvalidInput: pages.refused,
            Unavailable: pages.unavailable,
        },
    )
    app.router.redirect_slashes = False  # an address that ends otherwise is another address
    return app


async def _healthz(request: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _openapi(request: Request) -> Response:
    return JSONResponse(pages_document(version("clauseway")))


class _Pages:
    def __init__(self, source: PageSource) -> None:
        self._source = source
        self._templates = environment()

    def shows(self, page: WebPage) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of a page of the list."""

        async def show(request: Request) -> Response:
            query = {name: request.query_params.getlist(name) for name in page.query}
            context = await page.ask(self._source, Given(request.path_params, query))
            if context is None:
                absent = page.absent
                what, why, todo = (
                    text.format(**request.path_params)
                    for text in (absent.what, absent.why, absent.todo)
                )
                return self._problem(404, what, why, todo, screen=page.screen)
            return self._page(f"{page.name}.html.j2", {page.name: context}, screen=page.screen)

        return show

    async def file(self, request: Request) -> Response:
        """Send a file to keep. Its name is made of what was found, not of what was asked for."""
        sent = await self._source.file(**request.path_params)
        if sent is None:
            return await self.not_found(request, LookupError())
        headers = {
            "content-disposition": f'attachment; filename="{sent.name}"',
            "x-content-type-options": "nosniff",
            "cache-control": "no-store",
        }
        return Response(sent.content, media_type=sent.kind, headers=headers)

    async def counts(self, request: Request) -> Response:
        try:
            counts = await self._source.counts()
        except Unavailable as error:
            return JSONResponse({"error": {"message": str(error)}}, status_code=503)
        headers = {"cache-control": "no-store"}
        return Response(msgspec.json.encode(counts), media_type="application/json", headers=headers)

    async def not_found(self, request: Request, error: Exception) -> Response:
        return self._problem(
            404,
            "There is no such page",
            f"Nothing lies at {request.url.path}.",
            "Go to the first page, or to /statement/ followed by a month such as 2026-05.",
        )

    async def refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, InvalidInput)
        problem = error.problems[0]
        # A path that cannot be names nothing; only what is asked beyond it can be asked wrongly.
        status = 404 if request.path_params else 400
        return self._problem(status, problem.what, problem.why, problem.todo)

    async def failed(self, request: Request, error: Exception) -> Response:
        """Answer 500. The error itself goes to the log of this process: a page is no place for
        it."""
        why = f"This is a failure of ours, not of your input: {type(error).__name__}."
        return self._problem(
            500, "The page cannot be shown", why, "The log of the pages says more."
        )

    async def unavailable(self, request: Request, error: Exception) -> Response:
        return self._problem(
            503, "The page cannot be shown right now", str(error), "Reload it in a moment."
        )

    def _problem(
        self, status: int, problem: str, why: str, todo: str, screen: str = ""
    ) -> Response:
        words = {"what": problem, "why": why, "todo": todo}
        return self._page("problem.html.j2", words, status, screen=screen)

    def _page(
        self, name: str, context: Mapping[str, object], status: int = 200, *, screen: str
    ) -> Response:
        # A nonce for each answer: no style or script that got into the text is run.
        nonce = secrets.token_urlsafe(16)
        html = self._templates.get_template(name).render(
            nonce=nonce, standalone=False, screens=SCREENS, screen=screen, **context
        )
        policy = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
            f"connect-src 'self'; "
            "img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )
        headers = {
            "content-security-policy": policy,
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
            "cache-control": "no-store",
        }
        return HTMLResponse(html, status_code=status, headers=headers)
