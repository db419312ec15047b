"""A source of pages with everything on them, made by hand: the partnership on 28 April 2026, and counts that move."""

from datetime import date

import msgspec
from sample_screens import (
    ASKED_AGAIN,
    AUDITOR,
    CHECK,
    COMPARED,
    COMPARED_BILL,
    DRAFTED,
    ENGINEER,
    FINANCE,
    HANDED,
    LAUNCHES,
    LAWYER,
    PATH,
    TEXT,
    WRONG_DRAFT,
)

from clauseway.values import Citation
from clauseway.web.auditor import AuditorContext, CheckContext, DecisionContext, HandedContext, LaunchesContext
from clauseway.web.contexts import (
    Alert,
    ClauseShown,
    CloudCounts,
    CountsContext,
    DayRequestsContext,
    FigureShown,
    LineContext,
    LineShown,
    PlainSentence,
    ReceiptLine,
    RequestShown,
    Snippet,
    StatementContext,
    StatementSection,
    Timeline,
    TimelineMark,
    TimelineRow,
    TimelineStretch,
    Total,
    TracedEntry,
    TracedLeg,
    TracedUnit,
    Unavailable,
)
from clauseway.web.engineer import EngineerContext, RequestPath
from clauseway.web.finance import BillContext, FinanceContext, SentFile
from clauseway.web.lawyer import CompareContext, DraftContext, LawyerContext, QuestionAsked, TextContext
from clauseway.web.overview import HomeContext, ScreenSummary


def cite(amendment: str, term: str, document: str, line: int, source: str, text: str) -> Citation:
    return Citation(amendment=amendment, term=term, document=document, line=line, source=source, text=text)


def assumption(name: str, value: str, standing: str, note: str = "") -> FigureShown:
    return FigureShown(name=name, value=value, standing=standing, in_words=f"{value} ({standing})", note=note)


A1_SHARE = cite(
    "A1",
    "A1.share-openai-microsoft",
    "A1.md",
    61,
    "S1",
    "OpenAI pays Microsoft a share of its revenue from 23 January 2023 on.",
)
A1_BACK = cite(
    "A1",
    "A1.share-microsoft-openai",
    "A1.md",
    74,
    "P",
    "Microsoft pays OpenAI a share of its sales of OpenAI models.",
)
A5_SHARE = cite(
    "A5",
    "A5.share-openai-microsoft",
    "A5.md",
    88,
    "S0 S3",
    "OpenAI pays Microsoft through 2030, at the same percentage, under a cap, whatever the technology’s progress.",
)
A5_SERVE = cite(
    "A5",
    "A5.any-cloud",
    "A5.md",
    19,
    "S0 S2",
    "OpenAI may serve all its products to customers across any cloud.",
)
A5_FIRST = cite("A5", "A5.ship-first", "A5.md", 34, "S4", "New products ship first on Azure unless …")
A5_LICENCE = cite("A5", "A5.licence", "A5.md", 57, "S0", "The licence runs through 2032, non-exclusive.")
A3_RESEARCH = cite("A3", "A3.licence-research", "A3.md", 70, "S1", "Research IP through 2030.")
A5_NO_SHARE = cite(
    "A5", "A5.ends-share-microsoft-openai", "A5.md", 79, "S2", "Microsoft pays no revenue share any more."
)

PLAIN_WORDS = (
    PlainSentence(
        text="OpenAI may serve its products to customers on any cloud: Azure, AWS, Google Cloud, Oracle or its own.",
        citations=(A5_SERVE,),
    ),
    PlainSentence(
        text="A new product must be on Azure first, unless Microsoft cannot support what it needs and chooses not to.",
        citations=(A5_FIRST,),
    ),
    PlainSentence(
        text="Microsoft is licensed to OpenAI’s models and products through 2032, no longer alone; its licence to "
        "research ends with 2030 or the milestone, whichever comes first.",
        citations=(A5_LICENCE, A3_RESEARCH),
    ),
    PlainSentence(text="Microsoft pays OpenAI no share of its revenue any more.", citations=(A5_NO_SHARE,)),
    PlainSentence(
        text="OpenAI pays Microsoft a share of its revenue through 2030, at an undisclosed percentage and up to an "
        "undisclosed cap.",
        citations=(A5_SHARE,),
    ),
)

A1, A2, A3, A4, A5 = (
    date(2023, 1, 23),
    date(2025, 1, 21),
    date(2025, 10, 28),
    date(2026, 2, 27),
    date(2026, 4, 27),
)


def until(begin: date, end: date, outcome: str, why: str) -> TimelineStretch:
    return msgspec.convert({"begin": begin, "end": end, "outcome": outcome, "why": why}, TimelineStretch)


TIMELINE = Timeline(
    begin=date(2023, 1, 1),
    end=date(2034, 1, 1),
    marks=(
        TimelineMark(day=A1, label="A1", text="Azure is the exclusive cloud; shares flow both ways"),
        TimelineMark(day=A2, label="A2", text="New capacity: a right of first refusal instead"),
        TimelineMark(day=A3, label="A3", text="Products that are no API may be served anywhere"),
        TimelineMark(day=A4, label="A4", text="Stateful offerings with other clouds are within the terms"),
        TimelineMark(day=A5, label="A5", text="Exclusivity ends; Azure stays primary"),
    ),
    rows=(
        TimelineRow(
            label="OpenAI serves the stateless API on AWS",
            stretches=(
                until(date(2023, 1, 1), A1, "unstated", "No amendment was in force."),
                until(A1, A5, "forbidden", "A1: Azure is the exclusive cloud for all OpenAI workloads."),
                until(A5, date(2034, 1, 1), "permitted", "A5: all products, any cloud."),
            ),
        ),
        TimelineRow(
            label="OpenAI contracts new capacity with Oracle",
            stretches=(
                until(date(2023, 1, 1), A1, "unstated", "No amendment was in force."),
                until(A1, A2, "forbidden", "A1: new capacity is Azure’s too."),
                until(A2, A3, "conditional", "A2: offered to Microsoft first and passed on."),
                until(A3, date(2034, 1, 1), "permitted", "A3: no right of first refusal any more."),
            ),
        ),
        TimelineRow(
            label="OpenAI ships a new product on AWS first",
            stretches=(
                until(date(2023, 1, 1), A1, "unstated", "No amendment was in force."),
                until(A1, A5, "forbidden", "A1: Azure is the exclusive cloud."),
                until(A5, date(2034, 1, 1), "conditional", "A5: new products ship first on Azure."),
            ),
        ),
        TimelineRow(
            label="Microsoft uses OpenAI’s models under licence",
            stretches=(
                until(date(2023, 1, 1), A1, "unstated", "No amendment was in force."),
                until(A1, date(2033, 1, 1), "permitted", "A1, then A3 and A5: licensed through 2032."),
                until(date(2033, 1, 1), date(2034, 1, 1), "forbidden", "A5: ended with 2032."),
            ),
        ),
        TimelineRow(
            label="Microsoft owes OpenAI a share",
            stretches=(
                until(date(2023, 1, 1), A1, "unstated", "No amendment was in force."),
                until(A1, A5, "permitted", "A1: shares flow both ways."),
                until(A5, date(2034, 1, 1), "forbidden", "A5: nothing is due any more."),
            ),
        ),
    ),
)

STATEMENT = StatementContext(
    period="2026-04",
    title="Revenue share, April 2026",
    currency="USD",
    sections=(
        StatementSection(
            heading="OpenAI to Microsoft, old terms",
            payer="OpenAI",
            payee="Microsoft",
            begin=date(2026, 4, 1),
            end=A5,
            lines=(
                LineShown(
                    label="gpt-5.4 sold by OpenAI, hosted on Azure",
                    base="1,210.55",
                    rate="20 %",
                    amount="242.11",
                    citations=(A1_SHARE,),
                    working=("484,220,000 input tokens × 2.50 USD ÷ 1,000,000 = 1,210.55", "1,210.55 × 20 % = 242.11"),
                ),
                LineShown(
                    label="gpt-5.5 sold by OpenAI, hosted on Azure",
                    base="86.40",
                    rate="20 %",
                    amount="17.28",
                    citations=(A1_SHARE,),
                    working=("86.40 × 20 % = 17.28",),
                ),
            ),
            subtotal="259.39",
        ),
        StatementSection(
            heading="Microsoft to OpenAI, until the amendment",
            payer="Microsoft",
            payee="OpenAI",
            begin=date(2026, 4, 1),
            end=A5,
            lines=(
                LineShown(
                    label="gpt-5.4 sold by Microsoft",
                    base="640.00",
                    rate="20 %",
                    amount="128.00",
                    citations=(A1_BACK, A5_NO_SHARE),
                    working=("640.00 × 20 % = 128.00",),
                ),
            ),
            subtotal="128.00",
            note="Ended by A5 on 27 April 2026: nothing is due from that day on.",
        ),
        StatementSection(
            heading="OpenAI to Microsoft, under the cap",
            payer="OpenAI",
            payee="Microsoft",
            begin=A5,
            end=date(2026, 5, 1),
            lines=(
                LineShown(
                    label="gpt-5.4 sold by OpenAI, hosted on AWS",
                    base="12.10",
                    rate="20 %",
                    amount="2.42",
                    citations=(A5_SHARE,),
                    working=("12.10 × 20 % = 2.42", "2.42 ≤ 38,000,000,000.00, what is left of the cap"),
                    id="7h3kq0m2",
                ),
            ),
            subtotal="2.42",
        ),
    ),
    totals=(
        Total(label="OpenAI owes Microsoft", amount="261.81"),
        Total(label="Microsoft owes OpenAI", amount="128.00"),
    ),
    assumptions=(
        assumption("share-openai-microsoft", "20 %", "reported", "Never published."),
        assumption("share-microsoft-openai", "20 %", "reported", "Never published."),
        assumption("cap", "38,000,000,000 USD", "reported", "Never published."),
        assumption("revenue-owner", "the seller’s", "ours"),
    ),
    receipt=(
        ReceiptLine(name="engine", value="0.1.0"),
        ReceiptLine(name="agreement", value="sha256:" + "5e" * 32),
        ReceiptLine(name="known at", value="2026-05-02T00:00:00Z"),
    ),
)

_TOKENS = TracedUnit(
    unit="input tokens", quantity="4,840,000", price="2.75", charged="13.31", source="a listing observed on 3 June 2026"
)
LINE = LineContext(
    period="2026-04",
    id="7h3kq0m2",
    title="OpenAI pays Microsoft 2.42: gpt-5.4 on AWS",
    currency="USD",
    working=("4,840 requests, charged 12.10", "20 % of 12.10 is 2.42"),
    remarks=("Credits and disputes took back 1.21 of what was charged.",),
    entries=(
        TracedEntry(
            id="accrual|2026-04-01|2026-05-01|A5.share-openai-microsoft|gpt-5.4|aws|openai|0|" + "5e" * 32,
            day=date(2026, 4, 30),
            narration="OpenAI to Microsoft: gpt-5.4 on AWS",
            legs=(
                TracedLeg(account="openai:expense:revenue-share:microsoft", amount="2.42"),
                TracedLeg(account="openai:payable:revenue-share:microsoft", amount="-2.42"),
            ),
        ),
    ),
    days=((date(2026, 4, 28), "4,840", "13.31"),),
    prices=(_TOKENS,),
    requests=(
        RequestShown(
            id="req_00000000000000070000000000000005",
            at="2026-04-28T00:00:05Z",
            whose="Contoso/search",
            served_by="openai.gpt-5.4 on aws us-east-2",
            charged="13.31",
            units=(_TOKENS,),
        ),
    ),
    requests_note="1 of 4,840, the first and the last by event time.",
    clauses=(ClauseShown(citation=A5_SHARE, title="5.7 OpenAI pays through 2030, capped", text="Through 2030 …"),),
)
DAY_REQUESTS = DayRequestsContext(
    period=LINE.period,
    line=LINE.id,
    day=date(2026, 4, 28),
    title=LINE.title,
    currency="USD",
    said="101 to 101 of 4,840; the day is charged 13.31 USD",
    requests=LINE.requests,
    earlier=1,
    later=102,
)

SNIPPETS = (
    Snippet(
        label="curl",
        text="curl http://127.0.0.1:8400/v1/chat/completions \\\n  -H 'authorization: Bearer cw-demo' \\\n"
        "  -H 'content-type: application/json' \\\n"
        '  -d \'{"model": "gpt-5.4", "messages": [{"role": "user", "content": "Say hello."}]}\'',
    ),
    Snippet(
        label="Python",
        text="from openai import OpenAI\n\n"
        'client = OpenAI(base_url="http://127.0.0.1:8400/v1", api_key="cw-demo")\n'
        "print(client.models.list().data[0].id)",
    ),
)


class SamplePages:
    """Counts go up by `serve`; a new `edition` is what a new business day brings."""

    def __init__(self) -> None:
        self.counted = {"aws": CloudCounts(cloud="aws", served=0, refused=412, failed=0, tokens=0)}
        self.counted["azure"] = CloudCounts(cloud="azure", served=8_230, refused=0, failed=3, tokens=12_004_771)
        self.plain_words: tuple[PlainSentence, ...] = PLAIN_WORDS
        self.statements: tuple[StatementContext, ...] = (STATEMENT,)
        self.lines = {(LINE.period, LINE.id): LINE}
        self.edition = "2026-04-28"
        self.alerts: tuple[Alert, ...] = ()
        self.down = ""
        self.engineer_now = ENGINEER

    def serve(self, cloud: str, tokens: int) -> None:
        before = self.counted.get(cloud, CloudCounts(cloud=cloud, served=0, refused=0, failed=0, tokens=0))
        self._put(msgspec.structs.replace(before, served=before.served + 1, tokens=before.tokens + tokens))

    def refuse(self, cloud: str) -> None:
        before = self.counted[cloud]
        self._put(msgspec.structs.replace(before, refused=before.refused + 1))

    def _put(self, counts: CloudCounts) -> None:
        self.counted = {**self.counted, counts.cloud: counts}

    async def counts(self) -> CountsContext:
        if self.down:
            raise Unavailable(self.down)
        clouds = tuple(self.counted[cloud] for cloud in sorted(self.counted))
        return CountsContext(clouds=clouds, clock="2026-04-28 06:30 UTC", edition=self.edition)

    async def home(self) -> HomeContext:
        return HomeContext(
            title="The OpenAI–Microsoft partnership",
            as_of=date(2026, 4, 28),
            known_at="at the end of 28 April 2026",
            screens=(ScreenSummary(reader="Lawyer", address="/lawyer", answer="Ask."),),
            timeline=TIMELINE,
            counts=await self.counts(),
            gateway_url="http://127.0.0.1:8400/v1",
            snippets=SNIPPETS,
            alerts=self.alerts,
        )

    async def lawyer(self, asked: QuestionAsked) -> LawyerContext:
        return msgspec.structs.replace(LAWYER, plain_words=self.plain_words)

    async def finance(self, growth: str, cap: str) -> FinanceContext:
        latest = self.statements[-1] if self.statements else None
        empty = "" if latest else "Nothing is settled yet: clauseway settle --period 2026-05."
        months = FINANCE.months if latest else ()
        return msgspec.structs.replace(FINANCE, statement=latest, months=months, empty=empty)

    async def file(self, document: str, period: str, form: str) -> SentFile | None:
        if (document, period, form) != ("statement", STATEMENT.period, "csv"):
            return None
        return SentFile(name="clauseway-statement-2026-04.csv", kind="text/csv", content=b"line\r\n")

    async def engineer(self, request: str) -> EngineerContext:
        return self.engineer_now

    async def request(self, named: str) -> RequestPath | None:
        return PATH if named == PATH.id else None

    async def auditor(self) -> AuditorContext:
        return AUDITOR

    async def launches(self) -> LaunchesContext | None:
        return LAUNCHES

    async def check(self, subject: str) -> CheckContext | None:
        return CHECK if subject in ("books", STATEMENT.period) else None

    async def decision(self, receipt: str) -> DecisionContext:
        return ASKED_AGAIN if receipt else DecisionContext()

    async def bill(self, bill: str) -> BillContext:
        return COMPARED_BILL if bill else BillContext()

    async def handed(self, statement: str, signatures: str) -> HandedContext:
        return HANDED if statement else HandedContext()

    async def compare(self, before: str, after: str) -> CompareContext:
        return COMPARED

    async def draft(self, text: str) -> DraftContext:
        if not text:
            return DraftContext(text="---\nid: NEXT\n---\n")
        return WRONG_DRAFT if "soon" in text else DRAFTED

    async def text(self, document: str, line: str) -> TextContext | None:
        return TEXT if document == TEXT.document else None

    async def line(self, period: str, line: str, request: str, records: str) -> LineContext | None:
        return self.lines.get((period, line))

    async def day_requests(self, period: str, line: str, day: str, begin: str) -> DayRequestsContext | None:
        asked = (period, line, day)
        return DAY_REQUESTS if asked == (LINE.period, LINE.id, str(DAY_REQUESTS.day)) else None

    async def statement(self, period: str, begin: str) -> StatementContext | None:
        return next((statement for statement in self.statements if statement.period == period), None)
