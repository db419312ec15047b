"""The readers' own screens, made by hand: a question answered and another that is invalid, a text."""

from datetime import date

from clauseway.values import Citation
from clauseway.web.auditor import (
    AuditorContext,
    CheckContext,
    FactShown,
    KeyShown,
    LogShown,
    StatedMonth,
)
from clauseway.web.contexts import FigureShown, ForecastContext
from clauseway.web.finance import (
    AssumptionChip,
    BalanceShown,
    FileLink,
    FinanceContext,
    MonthShown,
    OwedShown,
)
from clauseway.web.lawyer import (
    AnswerShown,
    ChangeShown,
    FieldChoice,
    FormField,
    LawyerContext,
    Passage,
    QuestionForm,
    ReasonShown,
    TextContext,
)

FORM = QuestionForm(
    sentence=(
        FormField(id="party", name="party", label="May", value="openai", choices=(FieldChoice("openai", "OpenAI"),)),
        FormField(
            id="as_of", name="as_of", label="as of", value="yesterday", kind="text", problem="'yesterday' is not a day."
        ),
    ),
    further=(),
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
        ChangeShown(label="from 2026-04-27", outcome="permitted", said="permitted", address="/lawyer?as_of=2026-04-27"),
    ),
    each=(),
    supposed=(),
    receipt="dec_1",
    address="/lawyer?as_of=2026-04-01",
    command="clauseway decide --action serve",
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
            next_command="clauseway books pay --help",
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
    keys=(KeyShown("OpenAI", "SHA256:abc"),),
)
CHECK = CheckContext(
    title="The statement of 2026-04, settled again",
    holds=False,
    said="does not repeat",
    lines=(("7h3kq0m2", "gpt-5.4 on azure 4.46", "the same"),),
    remarks=("<b>usage</b> is gone",),
    command="clauseway statement verify 2026-04",
)
