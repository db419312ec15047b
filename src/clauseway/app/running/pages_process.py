"""The pages' process: the contexts of the pages, read from the agreement, the control database and
the gateway's counts.

`python -m clauseway.app.running.pages_process --home H` serves them until its parent is gone. The
key that the snippets show is read from standard input, if there is one.
"""

import argparse
import asyncio
import hashlib
import json
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import ParamSpec, TypeVar
from urllib.parse import quote

import msgspec
import uvicorn

from clauseway.app.agreements.launch_lanes import launches_page
from clauseway.app.agreements.rights_over_time import timeline_of_rights
from clauseway.app.books.settled import SettledMonths, latest_receipts, now, statement
from clauseway.app.opening.home import Home
from clauseway.app.opening.periods import month
from clauseway.app.opening.several import (
    Opened,
    agreements_with,
    each_of,
    facts_known,
    text_hash,
    title_of,
    with_recorded,
)
from clauseway.app.reports.spend import LatestPrices, spend_on
from clauseway.app.reports.statements import Named, statement_context
from clauseway.app.running.alerts import open_alerts
from clauseway.app.running.processes import PAGES_PORT
from clauseway.app.running.readers import HomeReaders, faults_as_unavailable
from clauseway.app.running.snippets import (
    Sample,
    agreement_to_name,
    key_command,
    snippets_for,
)
from clauseway.app.screens.auditor_page import BOOKS, auditor_page, check_page
from clauseway.app.screens.clause_places import (
    citations_of,
    line_with_places,
    statement_with_places,
)
from clauseway.app.screens.compare_page import compare_page, named_or_last
from clauseway.app.screens.decision_page import decision_page
from clauseway.app.screens.engineer_page import Searched, engineer_page
from clauseway.app.screens.finance_page import file_of, finance_page, page_of_statement
from clauseway.app.screens.forecast_page import Supposed, forecast_context
from clauseway.app.screens.gateway_glances import GLANCE, Glance, together
from clauseway.app.screens.lawyer_page import lawyer_page, text_page
from clauseway.app.screens.request_path import path_in_journal, path_of, path_refused
from clauseway.app.screens.request_rate import RequestRate
from clauseway.app.screens.screen_summaries import screen_summaries
from clauseway.gateway.plan.clock import BusinessClock, simulated_clock, system_clock
from clauseway.gateway.transport.listening import listen
from clauseway.storage.control.control import kept_open
from clauseway.values import InvalidInput, KnownAt, day_of
from clauseway.web.auditor import (
    AuditorContext,
    CheckContext,
    DecisionContext,
    HandedContext,
    LaunchesContext,
)
from clauseway.web.contexts import (
    Alert,
    CloudCounts,
    CountsContext,
    DayRequestsContext,
    ForecastContext,
    LineContext,
    Snippet,
    StatementContext,
    Timeline,
    Unavailable,
)
from clauseway.web.engineer import EngineerContext, RequestPath
from clauseway.web.finance import BillContext, FinanceContext, SentFile
from clauseway.web.lawyer import (
    CompareContext,
    DraftContext,
    LawyerContext,
    QuestionAsked,
    TextContext,
)
from clauseway.web.overview import HomeContext
from clauseway.web.pages import create_app
from clauseway.web.sign_in import SignInEvent
from clauseway.wording.dates import dated
from clauseway.wording.names import Wording

P = ParamSpec("P")
T = TypeVar("T")

# Comparisons that are kept, each of some kilobytes.
_COMPARED_MAX = 32
# These read usage, by an engine that takes as long to load as all else here: the first to ask
# loads it.
_LINE_PAGE = "clauseway.app.screens.line_page"
_DRAFT_PAGE = "clauseway.app.screens.draft_page"
_BILL_PAGE = "clauseway.app.screens.bill_page"
_HANDED_PAGE = "clauseway.app.screens.handed_page"


# The maps of a gateway's counts that the pages show, and the code of a refusal by a clause.
_COUNTED = ("served", "refused", "failed", "refusals", "tokens")
_BY_A_CLAUSE = "forbidden_by_agreement"
# As often as an open engineer's screen renews itself.
_COLLECTED_EVERY_S = 2
# Every open page asks each second whether anything is new, and damage is looked for in every file.
_ALERTS_EVERY_S = 10.0


class _RequestCount(msgspec.Struct, frozen=True):
    """The number of requests in a gateway's counts."""

    requests: int = 0


_REQUESTS = msgspec.json.Decoder(_RequestCount)


class HomePages:
    """Tells the pages what to draw.

    Files and databases are read in a thread, so that no page waits for another. What is kept for
    later pages is taken once by each thread: another may put its own there at any moment.
    """

    def __init__(
        self,
        home: Home,
        opened: Opened,
        clock: BusinessClock,
        gateway_url: str,
        snippets: tuple[Snippet, ...] = (),
        read_again: Callable[[], Opened] | None = None,
    ) -> None:
        self._home, self._opened, self._clock = home, opened, clock
        # Reads the agreements' files, where there are any that may change.
        self._read_again = read_again
        self._gateway_url, self._snippets = gateway_url, snippets
        self._prices = LatestPrices(home)
        self._months = SettledMonths(home)
        # The picture as last drawn, by the text and the number of facts it rests on.
        self._drawn: tuple[tuple[str, int], Timeline] | None = None
        # Amendments compared before, by their names, the text and the number of facts.
        self._compared: dict[tuple[str, str, str, int], CompareContext] = {}
        # Tasks that play or settle all usage that there is: one at a time.
        self._heavy = asyncio.Lock()
        # Fed by `collects` alone, so that it is the same for all who look.
        self._rate = RequestRate()
        # The forecast as last made, by the text, the day and the receipts of the settlements that
        # it goes on from.
        self._forecast: tuple[tuple[object, ...], ForecastContext] | None = None
        # The alerts that editions name, and when they were looked for.
        self._alerts: tuple[float, list[str]] | None = None

    async def _read(self, read: Callable[P, T], *asked: P.args, **named: P.kwargs) -> T:
        """Read in a thread, by one connection to the home's database. Raise Unavailable where the
        machine is at fault."""

        def read_there() -> T:
            with faults_as_unavailable(self._home), kept_open(self._home.control):
                return read(*asked, **named)

        return await asyncio.to_thread(read_there)

    async def home(self) -> HomeContext:
        try:
            counts, down = await self.counts(), ""
        except Unavailable as error:
            # Rights and months are there without a gateway. A page without an edition fetches
            # itself anew with the first counts.
            counts, down = (
                CountsContext(clouds=(), clock=_in_words(self._clock()), edition=""),
                str(error),
            )
        return await self._read(self._home_context, counts, down)

    async def counts(self) -> CountsContext:
        answer = await _ask_gateways(self._home.gateway_sockets())
        tokens = answer["tokens"]
        clouds = sorted({*answer["served"], *answer["refused"], *answer["failed"]})
        instant = self._clock()
        words = Wording.of(each_of(await self._read(self._text)))
        return CountsContext(
            clouds=tuple(
                CloudCounts(
                    cloud=cloud,
                    served=answer["served"].get(cloud, 0),
                    refused=answer["refused"].get(cloud, 0),
                    failed=answer["failed"].get(cloud, 0),
                    tokens=tokens.get(cloud, 0),
                    name=words.name(cloud),
                )
                for cloud in clouds
            ),
            clock=_in_words(instant),
            edition=await self._read(self._edition, day_of(instant)),
            refused=answer["refusals"][_BY_A_CLAUSE],
        )

    async def collects(self) -> None:
        """Count the gateway's requests every other second, for as long as the pages are up."""
        while True:
            await self.collect(time.monotonic())
            await asyncio.sleep(_COLLECTED_EVERY_S)

    async def collect(self, at_s: float) -> None:
        """Take the gateway's number of requests for the rate."""
        try:
            answers = await _ask_all(self._home.gateway_sockets(), "/counts")
        except Unavailable:
            self._rate.forget()
            return
        self._rate.collect(at_s, [_REQUESTS.decode(answer).requests for answer in answers])

    async def lawyer(self, asked: QuestionAsked) -> LawyerContext:
        return await self._read(self._lawyer, asked)

    async def compare(self, before: str, after: str) -> CompareContext:
        return await self._read(self._compare, before, after)

    async def draft(self, text: str) -> DraftContext:
        async with self._heavy:
            return await self._read(self._draft, text)

    async def text(self, document: str, line: str) -> TextContext | None:
        return await self._read(lambda: text_page(self._text(), document, line))

    async def engineer(self, request: str) -> EngineerContext:
        searched = await self._search(request.strip()) if request.strip() else None
        down, glance = "", None
        try:
            answers = await _ask_all(self._home.gateway_sockets(), "/glance")
            glance = together([GLANCE.decode(answer) for answer in answers])
        except Unavailable as error:
            down = str(error)
        return await self._read(self._engineer, glance, down, searched)

    async def request(self, named: str) -> RequestPath | None:
        with suppress(Unavailable):
            for answer in await _ask_all(
                self._home.gateway_sockets(), f"/request/{quote(named, safe='')}"
            ):
                if view := msgspec.json.decode(answer):
                    opened = await self._read(self._up_to_now)
                    return path_of(Wording.of(each_of(opened)), view, citations_of(opened))
        return await self._read(self._kept, named)

    async def finance(self, growth: str, cap: str) -> FinanceContext:
        return await self._read(self._finance, growth, cap)

    async def bill(self, bill: str) -> BillContext:
        async with self._heavy:
            return await self._read(self._bill, bill)

    async def file(self, document: str, period: str, form: str) -> SentFile | None:
        return await self._read(file_of, self._home, document, period, form)

    async def auditor(self) -> AuditorContext:
        return await self._read(self._auditor)

    async def launches(self) -> LaunchesContext | None:
        return await self._read(lambda: launches_page(self._up_to_now(), now()))

    async def check(self, subject: str) -> CheckContext | None:
        if subject != BOOKS:
            month(subject)
        return await self._read(lambda: check_page(self._home, self._up_to_now(), subject))

    async def decision(self, receipt: str) -> DecisionContext:
        return await self._read(lambda: decision_page(self._up_to_now(), receipt))

    async def handed(self, statement: str, signatures: str) -> HandedContext:
        async with self._heavy:
            return await self._read(self._handed, statement, signatures)

    async def alerts(self) -> tuple[Alert, ...]:
        """Return an alert for everything damaged or lost in the home."""
        return await self._read(open_alerts, self._home)

    async def statement(self, period: str, begin: str) -> StatementContext | None:
        return await self._read(self._statement, period, begin)

    async def line(self, period: str, line: str, request: str, records: str) -> LineContext | None:
        return await self._read(self._line, period, line, request, records)

    async def day_requests(
        self, period: str, line: str, day: str, begin: str
    ) -> DayRequestsContext | None:
        return await self._read(self._day_requests, period, line, day, begin)

    def _home_context(self, counts: CountsContext, down: str) -> HomeContext:
        today, known_at = day_of(self._clock()), now()
        opened = self._up_to_now()
        timeline = self._rights(opened, known_at)
        return HomeContext(
            title=title_of(opened),
            as_of=today,
            known_at=str(known_at.to_the_second()),
            screens=screen_summaries(
                self._home, opened, self._months.latest(), timeline, counts, today, down
            ),
            timeline=timeline,
            counts=counts,
            gateway_url=self._gateway_url,
            snippets=self._snippets,
            alerts=open_alerts(self._home),
            down=down,
        )

    async def _search(self, typed: str) -> Searched:
        try:
            path = await self.request(typed)
        except InvalidInput as error:
            return Searched(typed=typed, problem=error.problems[0].sentences)
        problem = "" if path else "Neither a gateway nor the journal knows such a request any more."
        return Searched(typed=typed, path=path, problem=problem)

    def _kept(self, named: str) -> RequestPath | None:
        opened = self._up_to_now()
        return path_refused(self._home, opened, named) or path_in_journal(self._home, opened, named)

    def _up_to_now(self) -> Opened:
        """Return the agreements with the amendments that were added and the facts that were
        recorded since the pages were started."""
        return with_recorded(self._text(), self._home)

    def _text(self) -> Opened:
        """Return the agreements as their files are now; as they were before while those are
        wrong, which `clauseway serve` reports."""
        if self._read_again is not None:
            with suppress(InvalidInput):
                self._opened = self._read_again()
        return self._opened

    def _engineer(
        self, glance: Glance | None, down: str, searched: Searched | None
    ) -> EngineerContext:
        return engineer_page(
            self._home,
            self._up_to_now(),
            glance,
            self._rate,
            spent_today=spend_on(self._home, self._prices.table(), day_of(self._clock())),
            down=down,
            gateway_url=self._gateway_url,
            snippets=self._snippets,
            alerts=open_alerts(self._home),
            searched=searched,
        )

    def _finance(self, growth: str, cap: str) -> FinanceContext:
        opened, known_at = self._up_to_now(), now()
        settled = self._months.latest()
        receipts = [each.receipt for each in settled.values()]
        ahead = self._ahead(opened, known_at, Supposed(growth.strip(), cap.strip()), receipts)
        today = day_of(self._clock())
        return finance_page(self._home, opened, settled, ahead, open_alerts(self._home), today)

    def _compare(self, before: str, after: str) -> CompareContext:
        opened = self._up_to_now()
        names = named_or_last(opened, before, after)
        # Comparing asks every combination twice.
        key = (*names, text_hash(opened), facts_known(opened))
        page = self._compared.get(key)
        if page is None:
            page = compare_page(opened, *names)
            if len(self._compared) >= _COMPARED_MAX:
                self._compared.clear()
            self._compared[key] = page
        return page

    def _draft(self, text: str) -> DraftContext:
        page: DraftContext = import_module(_DRAFT_PAGE).draft_page(
            self._home, self._up_to_now(), text, now()
        )
        return page

    def _handed(self, statement: str, signatures: str) -> HandedContext:
        page: HandedContext = import_module(_HANDED_PAGE).handed_page(
            self._home, self._up_to_now(), statement, signatures
        )
        return page

    def _bill(self, bill: str) -> BillContext:
        page: BillContext = import_module(_BILL_PAGE).bill_page(self._home, bill, now())
        return page

    def _auditor(self) -> AuditorContext:
        opened = self._up_to_now()
        alerts = open_alerts(self._home)
        return auditor_page(self._home, opened, self._months.latest(), now(), alerts)

    def _lawyer(self, asked: QuestionAsked) -> LawyerContext:
        opened = self._up_to_now()
        return lawyer_page(opened, asked, day_of(self._clock()), now())

    def _rights(self, opened: Opened, known_at: KnownAt) -> Timeline:
        key = (text_hash(opened), facts_known(opened))
        drawn = self._drawn
        if drawn is None or drawn[0] != key:
            drawn = self._drawn = (key, timeline_of_rights(opened, known_at))
        return drawn[1]

    def _ahead(
        self, opened: Opened, known_at: KnownAt, supposed: Supposed, receipts: Sequence[str]
    ) -> ForecastContext:
        # A thousand paths take a second: they are drawn anew when a month was settled, or a day has
        # begun.
        key = (text_hash(opened), known_at.day, supposed, *receipts)
        forecast = self._forecast
        if forecast is None or forecast[0] != key:
            made = forecast_context(self._home, opened, known_at, supposed)
            forecast = self._forecast = (key, made)
        return forecast[1]

    def _statement(self, period: str, begin: str) -> StatementContext | None:
        settlement = statement(self._home, period)
        if settlement is None:
            return None
        shown = page_of_statement(statement_context(settlement, self._names()), begin)
        return msgspec.structs.replace(
            statement_with_places(self._up_to_now(), shown),
            alerts=open_alerts(self._home, settlement.as_of),
        )

    def _line(self, period: str, line: str, request: str, records: str) -> LineContext | None:
        month(period)  # refuses a text that is not a month, before any line is looked for
        page: LineContext | None = import_module(_LINE_PAGE).line_page(
            self._home,
            period,
            line,
            request,
            records,
            named=self._names(),
        )
        return line_with_places(self._up_to_now(), page) if page else None

    def _day_requests(
        self, period: str, line: str, day: str, begin: str
    ) -> DayRequestsContext | None:
        month(period)
        page: DayRequestsContext | None = import_module(_LINE_PAGE).day_requests_page(
            self._home, period, line, day, begin, named=self._names()
        )
        return page

    def _names(self) -> Named:
        return Wording.of(each_of(self._up_to_now())).spelt

    def _edition(self, today: date) -> str:
        receipts = latest_receipts(self._home)
        alerts = self._alerts_lately(time.monotonic())
        return hashlib.sha256("\n".join([str(today), *receipts, *alerts]).encode()).hexdigest()[:16]

    def _alerts_lately(self, at_s: float) -> list[str]:
        """Return the alerts as they were looked for last, a few seconds ago at most."""
        lately = self._alerts
        if lately is None or at_s - lately[0] >= _ALERTS_EVERY_S:
            alerts = [f"{alert.what} {alert.where}" for alert in open_alerts(self._home)]
            lately = self._alerts = at_s, alerts
        return lately[1]


def _in_words(instant: int) -> str:
    return dated(str(KnownAt(instant).to_the_second()))


async def _ask_gateways(paths: Sequence[Path]) -> dict[str, Counter[str]]:
    """Return the counts of all workers together. Raise Unavailable."""
    together = {name: Counter[str]() for name in _COUNTED}
    for answer in await _ask_all(paths, "/counts"):
        worker = msgspec.json.decode(answer)
        for name, counts in together.items():
            counts.update(worker[name])
    return together


async def _ask_all(paths: Sequence[Path], address: str) -> list[bytes]:
    """Return the answers of all workers. A socket at which nobody answers is left out, where
    another one does: a worker that died leaves its own. Raise Unavailable."""
    answers = await asyncio.gather(
        *(_ask_gateway(path, address) for path in paths), return_exceptions=True
    )
    heard = [answer for answer in answers if isinstance(answer, bytes)]
    if not heard:
        problems = [answer for answer in answers if isinstance(answer, BaseException)]
        raise problems[-1] if problems else Unavailable("The gateway does not answer.")
    return heard


async def _ask_gateway(path: Path, address: str) -> bytes:
    """Return a gateway's answer over its control socket, as JSON. Raise Unavailable."""
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_unix_connection(path), 2)
        writer.write(
            f"GET {address} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n".encode()
        )
        # The gateway closes the connection, so the answer ends where reading does.
        answer = await asyncio.wait_for(reader.read(), 2)
        writer.close()
        body = answer.partition(b"\r\n\r\n")[2]
        msgspec.json.decode(body, type=dict)
    except (OSError, TimeoutError, msgspec.DecodeError) as error:
        raise Unavailable(f"The gateway does not answer: {_away(error)}.") from None
    return body


def _away(error: Exception) -> str:
    """Say in words why a gateway's socket gives no answer."""
    match error:
        case ConnectionRefusedError() | FileNotFoundError():
            return "none is running"
        case PermissionError():
            return "its socket belongs to another user of this machine"
        case TimeoutError():
            return "it took longer than two seconds"
        case OSError(strerror=str() as said):
            return said.lower()
        case _:
            return "what it answered cannot be read"


async def _serve(
    source: HomePages, readers: HomeReaders, listener: socket.socket, parent_pipe: int | None
) -> None:
    app = create_app(source, readers=readers, tell=log_sign_in)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,  # what serves, and how old it may be, is nobody's business
    )
    server = uvicorn.Server(config)

    def leave() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave)
    # The pipe becomes readable when the parent is gone, however it went.
    if parent_pipe is not None:
        loop.add_reader(parent_pipe, leave)
    print(json.dumps({"ready": True, "ports": {"pages": listener.getsockname()[1]}}), flush=True)
    collecting = asyncio.create_task(source.collects())
    try:
        await server.serve(sockets=[listener])
    finally:
        collecting.cancel()


def log_sign_in(event: SignInEvent) -> None:
    """Write a line on standard error, of the form that the gateway's lines have as JSON."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    print(json.dumps({"time": at, **msgspec.structs.asdict(event)}), file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the pages until told to stop."""
    parser = argparse.ArgumentParser(prog="clauseway.app.running.pages_process")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--port",
        type=int,
        help=f"0: any free one; by default {PAGES_PORT}, or the next free one above it",
    )
    parser.add_argument("--gateway-url", required=True)
    parser.add_argument("--sample-model", required=True)
    parser.add_argument("--sample-cloud", default="")
    parser.add_argument("--sample-seller", default="")
    parser.add_argument("--agreement", type=Path, action="append", default=[])
    parser.add_argument("--facts", type=Path)
    parser.add_argument("--simulated-clock", type=Path)
    parser.add_argument("--parent-pipe", type=int)
    options = parser.parse_args(arguments)
    try:
        listener = listen(options.host, options.port, PAGES_PORT)
    except InvalidInput as error:
        # The parent waits for one line: ready, or the problems in its place.
        print(
            msgspec.json.encode({"ready": False, "problems": error.problems}).decode(), flush=True
        )
        return 3
    # The parent writes the key of the snippets into a pipe.
    key = "" if sys.stdin.isatty() else sys.stdin.readline().strip()
    read_again = partial(agreements_with, options.agreement, options.facts)
    opened = read_again()
    clock = simulated_clock(options.simulated_clock) if options.simulated_clock else system_clock
    sample = Sample(
        model=options.sample_model, cloud=options.sample_cloud, seller=options.sample_seller
    )
    home = Home(options.home).served()
    named = agreement_to_name(home, options.agreement, opened, sample.seller)
    make_key = key_command(sample, home, named) if sample.seller else ""
    snippets = snippets_for(options.gateway_url, sample, key, make_key)
    has_files = bool(options.agreement or options.facts)
    source = HomePages(
        home, opened, clock, options.gateway_url, snippets, read_again if has_files else None
    )
    asyncio.run(_serve(source, HomeReaders(home), listener, options.parent_pipe))
    return 0


if __name__ == "__main__":
    sys.exit(main())
