"""The readers' own screens, made by hand: a question answered and another that is invalid, a text."""

from datetime import date

from clauseway.values import Citation
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
