"""The readers' own screens, made by hand: a question answered and another that is invalid, a text."""

from datetime import date

from clauseway.values import Citation
from clauseway.web.auditor import (
    AuditorContext,
    CheckContext,
    DecisionContext,
    FactShown,
    HandedContext,
    KeyShown,
    LaunchesContext,
    LaunchLane,
    LaunchPoint,
    LogShown,
    SignatureShown,
    StatedMonth,
    YearMark,
)
from clauseway.web.contexts import (
    FigureShown,
    ForecastContext,
    Timeline,
    TimelineMark,
    TimelineRow,
    TimelineStretch,
)
from clauseway.web.engineer import (
    BudgetShown,
    CandidateShown,
    DeploymentShown,
    EngineerContext,
    ExpiringKey,
    LatestRequest,
    ProductServed,
    RequestPath,
    RuledOut,
    StepShown,
    Tile,
)
from clauseway.web.finance import (
    AssumptionChip,
    BalanceShown,
    BillContext,
    BillItem,
    BillRow,
    FileLink,
    FinanceContext,
    MonthShown,
    OwedShown,
)
from clauseway.web.lawyer import (
    AnswerShown,
    ChangeGroupShown,
    ChangeShown,
    CompareContext,
    DraftContext,
    DraftMistake,
    DraftPlayed,
    DraftRead,
    FieldChoice,
    FormField,
    KnowledgePoint,
    LawyerContext,
    MonthBeside,
    OverTime,
    Passage,
    QuestionForm,
    ReadingSwitch,
    ReasonShown,
    RequestsAlike,
    RequestsChanged,
    SwitchOption,
    TextContext,
)

FORM = QuestionForm(
    sentence=(
        FormField(id="party", name="party", label="May", value="openai", choices=(FieldChoice("openai", "OpenAI"),)),
        FormField(
            id="as_of",
            name="as_of",
            label="on the day",
            value="yesterday",
            kind="text",
            problem="'yesterday' is not a day.",
        ),
    ),
    further_named="Known at",
    further=(FormField(id="known_at", name="known_at", label="known at", value="", kind="text"),),
)
ANSWER = AnswerShown(
    outcome="forbidden",
    said="forbidden",
    sentence="OpenAI serves gpt-5.5 on AWS",
    as_of=date(2026, 4, 1),
    known_at="2026-04-01T23:59:59Z",
    reasons=(
        ReasonShown(
            bearing="forbids",
            note="reserved to azure",
            citation=Citation(
                term="A4.api", amendment="A4", document="A4.md", line=20, source="S1", text="Azure is exclusive."
            ),
            agreement="",
            title="4.2 Stateless APIs on Azure",
            text="Azure is the exclusive cloud of stateless APIs.",
        ),
    ),
    conditions=(),
    changes=(
        ChangeShown(
            label="from 2026-04-27 on", outcome="permitted", said="permitted", address="/lawyer?as_of=2026-04-27"
        ),
    ),
    each=(),
    supposed=(),
    receipt="dec_1",
    address="/lawyer?as_of=2026-04-01",
    command="clauseway decide --action serve",
    over_time=OverTime(
        timeline=Timeline(
            begin=date(2026, 1, 1),
            end=date(2028, 1, 1),
            rows=(
                TimelineRow(
                    label="OpenAI serves gpt-5.5 on AWS",
                    stretches=(
                        TimelineStretch(
                            begin=date(2026, 1, 1), end=date(2026, 4, 27), outcome="forbidden", why="A4: Azure alone."
                        ),
                        TimelineStretch(
                            begin=date(2026, 4, 27), end=date(2028, 1, 1), outcome="permitted", why="A5: any cloud."
                        ),
                    ),
                ),
            ),
            marks=(TimelineMark(day=date(2026, 4, 27), label="A5", text="Exclusivity ends"),),
        ),
        points=(KnowledgePoint("2026-02-27", "2026-02-27: A4, <b>2 facts</b>"), KnowledgePoint("", "now")),
        point=0,
        switches=(
            ReadingSwitch(
                name="R3",
                text="Whether A4 changes anything.",
                options=(
                    SwitchOption(label="a4 (usual)", address="/lawyer?reading=R3%3Da4", is_chosen=True),
                    SwitchOption(label="a3", address="/lawyer?reading=R3%3Da3", is_chosen=False),
                ),
            ),
        ),
    ),
)
LAWYER = LawyerContext(
    title="The OpenAI–Microsoft partnership", form=FORM, answer=ANSWER, plain_words=(), as_of=date(2026, 4, 28)
)
TEXT = TextContext(
    document="A4.md",
    documents=("agreement.md", "A4.md"),
    passages=(
        Passage(
            heading="4.2 Stateless APIs on Azure",
            line=15,
            text="Azure is the exclusive cloud of stateless APIs.",
            blocks=("id: A4.api",),
            is_named=True,
        ),
    ),
)
FINANCE = FinanceContext(
    title="The OpenAI–Microsoft partnership",
    months=(
        MonthShown(
            period="2026-05",
            state="open",
            owed=(),
            downloads=(),
            next_command="clauseway settle --period 2026-05 --assume …",
        ),
        MonthShown(
            period="2026-04",
            state="invoiced",
            owed=(OwedShown(label="OpenAI owes Microsoft", amount="4.46", claimed="invoice m-o-1: 4.46 USD open"),),
            downloads=(FileLink("CSV", "/download/statement/2026-04/csv"),),
            next_command="clauseway books payment --help",
        ),
    ),
    statement=None,
    chips=tuple(
        AssumptionChip(
            kind=kind, figure=FigureShown(name=f"cap-{kind}", value="USD 1", standing=kind, in_words="USD 1")
        )
        for kind in ("given", "reported", "ours")
    ),
    balances=(
        BalanceShown(party="OpenAI", account="payable: A5.share", about="Microsoft", side="credit", amount="4.46 USD"),
    ),
    forecast=ForecastContext(),
    empty="",
)
AUDITOR = AuditorContext(
    title="The OpenAI–Microsoft partnership",
    months=(
        StatedMonth(
            period="2026-04",
            state="closed",
            receipt="set_1",
            digest="5e" * 32,
            pack_command="clauseway statement pack 2026-04",
        ),
    ),
    facts=(
        FactShown(
            name="F1",
            fact="launch gpt-5.5 aws preview",
            effective=date(2026, 4, 28),
            known_at="",
            says="Limited preview on Bedrock.",
            source="P",
            document="facts.md",
            line=15,
            hidden_by="F2",
        ),
    ),
    log=(
        LogShown(number=7, at="2026-05-01T00:00:00Z", who="ana", act="fact added", subject="F1", why="", digest="5e5e"),
    ),
    keys=(
        KeyShown("OpenAI", "SHA256:def", "withdrawn by ana on 2026-05-02: it leaked"),
        KeyShown("OpenAI", "SHA256:abc"),
    ),
)
CHECK = CheckContext(
    title="The statement of 2026-04, settled again",
    holds=False,
    said="does not repeat",
    lines=(("7h3kq0m2", "gpt-5.4 on azure 4.46", "the same"),),
    remarks=("<b>usage</b> is gone",),
    command="clauseway statement verify 2026-04",
)
CLAUSE = ANSWER.reasons[0].citation
# As long as a name may be, without a place to break it at.
LONG_NAME = "n" * 200
LATEST = LatestRequest(
    id="req_1",
    at="2026-04-28T06:30:00Z",
    whose="acme/search",
    asked="chat gpt-5.5",
    status=403,
    said="<b>Azure</b> is the exclusive cloud.",
)
PATH = RequestPath(
    id="req_1",
    title="chat gpt-5.5",
    at="2026-04-28T06:30:00Z",
    whose=LONG_NAME,
    steps=(
        StepShown(kind="skipped", where="aws-1 on aws", said="skipped: forbidden by A4.api"),
        StepShown(kind="failed", where="azure-1 on azure", said="failed 500 after 12.0 ms"),
        StepShown(kind="answered", where="azure-2 on azure", said="answered with 200"),
    ),
    facts=(("input tokens", "12"),),
    permitted_by=(CLAUSE,),
    source="As the gateway keeps it.",
    refused_by=(CLAUSE,),
    strategy="cheapest, but azure-2 has the prompt's beginning cached",
    candidates=(
        CandidateShown(where="azure-2 on azure", prices=(("input", "2.5"), ("output", "15")), answered=True),
        CandidateShown(where="azure-1 on azure", prices=(("input", "2.4"), ("output", "15")), answered=False),
    ),
)


def served_of(product: str, state: str, failures: str = "0", causes: tuple[str, ...] = ()) -> ProductServed:
    return ProductServed(
        product=product,
        state=state,
        why="",
        requests="12",
        share="50%",
        p50="≤ 66 ms",
        p99="≤ 131 ms",
        failures=failures,
        causes=causes,
        room=("58 of 60 requests a minute",),
        permitted_by=(CLAUSE,),
    )


ENGINEER = EngineerContext(
    title="The OpenAI–Microsoft partnership",
    down="",
    strip=(Tile(label="p99", value="≤ 131 ms", note="p50 ≤ 66 ms"),),
    deployments=(
        DeploymentShown(
            name="azure-1",
            cloud="Azure",
            region="eastus2",
            seller="OpenAI",
            products=(
                served_of("gpt-5.4", state="well"),
                served_of("gpt-5.5", state="left alone", failures="3", causes=("2 × 503", "1 × no answer")),
            ),
        ),
    ),
    refusals=(("refused by a clause", "177"),),
    ruled_out=(RuledOut(sales=("OpenAI: gpt-5.5 on AWS",), outcome="forbidden", clauses=(CLAUSE,)),),
    not_served=(LATEST,),
    latest=(LATEST,),
    keys=(
        ExpiringKey(
            key_id="key_1",
            whose="acme/search",
            state="active",
            expires="2026-05-01",
            distance="in 3 days",
            is_soon=True,
        ),
        ExpiringKey(
            key_id="key_2",
            whose=LONG_NAME,
            state="active",
            expires="2027-05-01",
            distance="in 368 days",
            is_soon=False,
        ),
    ),
    budgets=(
        BudgetShown(
            whose="acme",
            period="month",
            spent="4.00",
            leased="1.00",
            amount="10.00 USD",
            left="5.00 left",
            percent=40,
            held_percent=10,
        ),
        BudgetShown(
            whose=LONG_NAME,
            period="month",
            spent="0.00",
            leased="",
            amount="10.00 USD",
            left="10.00 left",
            percent=0,
            held_percent=0,
        ),
    ),
    budgets_further=1200,
    keys_further=1,
    gateway_url="http://127.0.0.1:8400/v1",
    searched="req_<b>",
    problem="'req_<b>' names no request.",
    path=PATH,
)
COMPARED = CompareContext(
    is_compared=True,
    fields=FORM.sentence[:1],
    before="up to A4",
    after="up to A5",
    groups=(
        ChangeGroupShown(
            sentence="OpenAI may now serve <b>gpt-5.5</b>",
            before="not due",
            after="permitted",
            citation=CLAUSE,
            place="",
            combinations="4",
        ),
    ),
    counted="4 combinations are answered otherwise",
)
WRONG_DRAFT = DraftContext(
    text="---\nid: A6\neffective: <b>soon</b>\n---\n",
    mistakes=(DraftMistake(3, "'<b>soon</b>' is not a day."), DraftMistake(0, "The text is empty.")),
)
DRAFTED = DraftContext(
    text="---\nid: A6\n---\n</textarea><b>",
    read=DraftRead(
        title="A6, The API comes home",
        groups=COMPARED.groups,
        counted=COMPARED.counted,
        played=DraftPlayed(
            said="Played from 2026-04-10 to 2026-05-07, as if in effect from 2026-04-28 on",
            counted="7 recorded requests, 5 of them as before",
            changed=(
                RequestsChanged(
                    said="2 would go to another cloud: this one is not permitted any more",
                    alike=(
                        RequestsAlike(
                            said="2 of gpt-5.4 on AWS us-east-2, sold by OpenAI to any, from 2026-04-28 to 2026-05-06",
                            before="permitted by A5.any-cloud (A5.md:24)",
                            after="forbidden by A6.api (A6.md:16); permitted on Azure",
                        ),
                    ),
                    more=3,
                ),
            ),
            not_asked=("1 of gpt-9 on Azure were not asked about: no agreement names it",),
            months=(
                MonthBeside(
                    period="2026-05",
                    label="OpenAI pays Microsoft",
                    real="68.80",
                    drafted="34.40",
                    difference="-34.40",
                ),
            ),
            parties=("OpenAI gains 44.40 USD",),
            assumed=("Assumed, as it is: cap = USD 38,000,000,000 (reported)",),
        ),
    ),
)
COMPARED_BILL = BillContext(
    bill="</textarea><b>",
    is_compared=True,
    said="At stake: 30.00 USD.",
    scope="2026-05-01 up to, not including, 2026-06-01, on AWS",
    rows=(
        BillRow(name="matched", items="6", at_stake="–", metered="414.00", billed="414.00"),
        BillRow(name="in all", items="", at_stake="30.00", metered="444.00", billed="474.00"),
    ),
    items=(
        BillItem(
            said="2026-05-05 Azure eastus2 gpt-5.4 input_tokens: quantity differs, +30.00 USD",
            quantities="metered 15,000,000 for 30 · billed 30,000,000 for 60",
            causes=("duplicate: row 9 repeats row 2",),
            behind="rows 2, 9",
        ),
    ),
    more=3,
    remarks=("Row 4, ContractedCost: <i>many</i> is no number. The row was left out.",),
)
ASKED_AGAIN = DecisionContext(receipt='{"outcome": "</textarea><b>"}', check=CHECK)
HANDED = HandedContext(
    statement='{"period": "</textarea><b>"}',
    signatures="{}",
    check=CHECK,
    signed=(
        SignatureShown(
            party="openai", role="signed", at="2026-05-02T10:00:00Z", holds=True, said="trusted", disputed=()
        ),
        SignatureShown(
            party="microsoft",
            role="disputed",
            at="2026-05-03T10:00:00Z",
            holds=False,
            said="nobody here vouches for its key",
            disputed=("not line 0123456789: <i>twice</i>",),
        ),
    ),
    changed=("line 0123456789 says otherwise than what was signed",),
    edited=("a key was edited: it is not what was recorded",),
)
LAUNCHES = LaunchesContext(
    title="The OpenAI–Microsoft partnership",
    first="Azure",
    known_at="2026-06-30",
    listings="models_dev_openai_listings.csv",
    breaches=1,
    result="One breach was found; 2 of 81 products cannot be told.",
    lanes=(
        LaunchLane(
            product="gpt-5.5",
            said="Azure first",
            verdict="Azure first, then AWS and OCI",
            breach=False,
            why=("4 days before aws",),
            points=(
                LaunchPoint(
                    x=31.5,
                    day=date(2026, 4, 24),
                    cloud="Azure",
                    is_first=True,
                    listed=False,
                    by="on record, source P",
                    evidence="facts.md:13 available",
                    why="Available on Azure.",
                ),
                LaunchPoint(
                    x=32.6,
                    day=date(2026, 4, 28),
                    cloud="AWS",
                    is_first=False,
                    listed=False,
                    by="on record, source P",
                    evidence="facts.md:15 preview",
                    why="",
                ),
            ),
        ),
        LaunchLane(
            product="managed-agents",
            said="breach · Azure later",
            verdict="breach: AWS first",
            breach=True,
            why=("on aws, and nothing is on record on azure",),
            points=(
                LaunchPoint(
                    x=99.0,
                    day=date(2026, 12, 28),
                    cloud="AWS",
                    is_first=False,
                    listed=True,
                    by="listed by Amazon Bedrock",
                    evidence="amazon-bedrock managed-agents",
                    why="",
                ),
            ),
        ),
    ),
    years=(YearMark(0.0, "2026"),),
    others=79,
    command="clauseway agreement listings launches",
)
