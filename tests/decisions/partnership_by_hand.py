"""The partnership by hand: one deal, its dates as literals, a chain of plain cases that a lawyer can follow.

An oracle for the engine. It shares no code with it and was written from the facts of the deal before the engine's code
or the built-in text was read; it knows these parties and no others, and nothing of terms, scopes or tables. Where the
facts are silent the comment begins with CHOSEN and says what a careful lawyer would answer.
"""

from datetime import date
from typing import NamedTuple

A1 = date(2023, 1, 23)
A2 = date(2025, 1, 21)
A3 = date(2025, 10, 28)
A4 = date(2026, 2, 27)
A5 = date(2026, 4, 27)
LAST_OF_2030 = date(2030, 12, 31)
LAST_OF_2032 = date(2032, 12, 31)

PERMITTED, FORBIDDEN, CONDITIONAL, UNSTATED = "permitted", "forbidden", "conditional", "unstated"

CLASS_OF = {
    "gpt-5.5": "api.stateless",
    "gpt-5.4": "api.stateless",
    "new-model": "api.stateless",
    "stateful-runtime": "api.stateful",
    "managed-agents": "api.stateful",
    "chatgpt": "app",
    "codex": "app",
    "frontier": "app",
    "gpt-oss-120b": "open-weight",
    # Two that the agreement does not name: whoever asks adds them.
    "relay": "joint.api",
    "tutor": "joint.app",
}
OPERATES = {"azure": "microsoft", "aws": "amazon", "google-cloud": "google", "oci": "oracle"}


class Launch(NamedTuple):
    product: str
    cloud: str
    stage: str  # announced, preview or available
    day: date


# The register of launches: public, and known from their own day.
REGISTER = (
    Launch("gpt-5.4", "azure", "available", date(2026, 3, 7)),
    Launch("gpt-5.5", "azure", "available", date(2026, 4, 24)),
    Launch("stateful-runtime", "aws", "announced", date(2026, 2, 27)),
    Launch("gpt-5.5", "aws", "preview", date(2026, 4, 28)),
    Launch("gpt-5.4", "aws", "preview", date(2026, 4, 28)),
    Launch("codex", "aws", "preview", date(2026, 4, 28)),
    Launch("managed-agents", "aws", "preview", date(2026, 4, 28)),
    Launch("gpt-5.5", "aws", "available", date(2026, 6, 1)),
    Launch("gpt-5.4", "aws", "available", date(2026, 6, 1)),
    Launch("codex", "aws", "available", date(2026, 6, 1)),
    Launch("gpt-5.5", "oci", "available", date(2026, 6, 11)),
    Launch("codex", "oci", "available", date(2026, 6, 11)),
)


class Supposed(NamedTuple):
    """Facts that the question supposes: they count as known, and hold from their day on."""

    milestone: date | None = None  # the day the panel's verification takes effect
    launches: tuple[Launch, ...] = ()
    answers: tuple[tuple[str, str, date], ...] = ()  # product, "cannot+declines", day
    offers_passed: tuple[date, ...] = ()  # new capacity offered to Microsoft and passed on
    grants: tuple[tuple[str, str, date], ...] = ()  # party, product or class, day


class Case(NamedTuple):
    action: str
    party: str
    product: str = ""  # or a class
    cloud: str = ""
    to: str = ""
    seller: str = ""
    segment: str = "any"
    as_of: date = date.max
    known_at: date = date.max
    r1: str = "and"
    r3: str = "a4"
    r5: str = "new"
    r6: str = "listed"
    supposed: Supposed = Supposed()


def outcome(case: Case) -> str:
    # Nothing is stated before the first amendment is in force and known, whatever is asked.
    if not governs(case, A1):
        return UNSTATED
    if case.action == "share-revenue":
        return share_revenue(case)
    # Open weights carry a public licence: anyone serves and sells them, on any cloud.
    if class_of(case.product) == "open-weight":
        return PERMITTED
    if case.action == "license":
        return license_to(case)
    if case.action == "use-under-licence":
        return use_under_licence(case)
    if case.action == "contract-compute":
        return contract_compute(case)
    if case.action == "sell":
        return sell(case, case.party)
    if case.action == "serve":
        return serve(case)
    raise AssertionError(case.action)


# --- what governs ---------------------------------------------------------------------------------------------------


def governs(case: Case, amendment: date) -> bool:
    """An amendment counts once it is in force and known; both happened on the day it was announced."""
    return case.as_of >= amendment and case.known_at >= amendment


def partnership_ran_out(case: Case) -> bool:
    """Under A2 the partnership lasts through 2030, A1's remainder with it. A3 replaced that end: whoever knows A3 does
    not see it. Whoever knows A1 alone knows of no end."""
    return governs(case, A2) and not governs(case, A3) and case.as_of > LAST_OF_2030


def milestone_reached(case: Case) -> bool:
    """The milestone counts from the day its verification takes effect ("until" excludes that day).

    CHOSEN: it is A3 that makes anything depend on it, so before A3 is in force and known it changes nothing, and one
    verified earlier than A3 counts from A3 on.
    """
    return governs(case, A3) and case.supposed.milestone is not None and case.as_of >= case.supposed.milestone


def class_of(product: str) -> str:
    return CLASS_OF.get(product, product)


def launches(case: Case) -> list[Launch]:
    """Return the launches known by the day asked about. An announcement alone ships nothing."""
    known = [launch for launch in REGISTER if launch.day <= case.known_at] + list(case.supposed.launches)
    return [
        launch
        for launch in known
        if launch.product == case.product and launch.day <= case.as_of and launch.stage in ("preview", "available")
    ]


def granted(case: Case, party: str) -> bool:
    """A grant by OpenAI, recorded by the day. CHOSEN: a grant of a class covers the products in it, not the reverse;
    and one recorded while OpenAI was not free to give it has its effect once OpenAI is."""
    return any(
        to == party and product in (case.product, class_of(case.product)) and day <= case.as_of
        for to, product, day in case.supposed.grants
    )


# --- hosting and selling ---------------------------------------------------------------------------------------------


def serve(case: Case) -> str:
    """Host cloud and seller are two fields; the seller defaults to the party."""
    seller = case.seller or case.party
    if case.party == "openai":
        hosting = openai_serves(case)
    else:
        # Another party's serving is answered as its selling. For another seller it hosts, and sells nothing.
        hosting = sell(case, case.party, hosts_alone=seller != case.party)
    # CHOSEN: where somebody else sells what the party serves, both must be allowed; the stricter answer is given.
    return strictest(hosting, sell(case, seller))


def openai_serves(case: Case) -> str:
    kind = class_of(case.product)
    if partnership_ran_out(case):
        return PERMITTED  # no term is left, and the owner may do what none forbids
    if case.cloud == "azure":
        return PERMITTED  # every exclusivity and every precedence is Azure's
    if governs(case, A5):
        # Exclusivity has ended: all products, across any cloud, but new ones ship first on Azure.
        return CONDITIONAL if must_ship_first_on_azure(case) else PERMITTED
    if governs(case, A3):
        if kind not in ("api.stateless", "api.stateful", "joint.api"):
            return PERMITTED  # non-API products on any cloud; jointly built apps and research too
        if milestone_reached(case):
            return PERMITTED  # API products are exclusive until the milestone
        if case.segment == "us-national-security":
            return PERMITTED  # the carve-out, only when that segment is named
        # Stateful APIs: within the terms on other clouds since A4 said so (R3), or since A3 if A4 only declares.
        # CHOSEN: who chooses R3's alternative reads A3 so, whether or not A4 is known yet.
        if kind == "api.stateful" and (governs(case, A4) or case.r3 == "a3"):
            return PERMITTED
        return FORBIDDEN
    if governs(case, A2) and kind == "research" and case.cloud == "openai-own":
        return PERMITTED  # A2: capacity of its own, mainly for research and training
    return FORBIDDEN  # A1: Azure is the exclusive cloud for all OpenAI workloads


def must_ship_first_on_azure(case: Case) -> bool:
    """Return whether ship-first still stands in the way of another cloud (OpenAI's own capacity is one)."""
    kind = class_of(case.product)
    if kind not in ("api.stateless", "api.stateful", "app", "joint.api", "joint.app"):
        return False  # it binds api, app and joint products: not research
    if shipped_before_a5(case) and case.r5 == "new":
        return False  # R5: it binds new products; "all" binds the others too
    if any(launch.cloud == "azure" for launch in launches(case)):
        return False  # met from the day of an Azure launch, preview or available
    return not microsoft_left_it(case)


def shipped_before_a5(case: Case) -> bool:
    """First shipped, in preview or available, on any cloud or by OpenAI directly, before 2026-04-27."""
    if case.product in ("gpt-5.5", "gpt-5.4", "chatgpt", "codex", "frontier"):
        return True  # the named products count as earlier, except those that shipped later or not at all
    # A class stands for a product of it that has no launch: `launches` finds none for it.
    return any(launch.day < A5 for launch in launches(case))


def microsoft_left_it(case: Case) -> bool:
    """R1: Microsoft cannot *and* chooses not to support it; or, as the alternative has it, one of the two.

    CHOSEN: of several answers the latest by the day counts. Two of one day that contradict each other are not asked.
    """
    answers = [(day, answer) for product, answer, day in case.supposed.answers if product == case.product]
    answers = [(day, answer) for day, answer in answers if day <= case.as_of]
    if not answers:
        return False  # not known is not taken for no
    _, latest = max(answers)
    cannot, declines = latest.startswith("cannot"), latest.endswith("declines")
    return (cannot or declines) if case.r1 == "or" else (cannot and declines)


def sell(case: Case, seller: str, *, hosts_alone: bool = False) -> str:
    # A sale needs OpenAI's serving on that cloud. OpenAI itself needs nothing else.
    # CHOSEN: research, which is hosted and never sold, is answered for another host by these same rules, and
    # Microsoft's right to host it rests on the licence to models and products, not on that to research.
    served = openai_serves(case)
    if seller == "openai":
        return served
    if seller == "microsoft":
        # Microsoft's right to sell and to serve is its licence to models and products, and ends with it; a launch on
        # Azure is no grant. CHOSEN: a recorded grant to Microsoft is a grant, as anybody's.
        if microsoft_licensed(case, "ip.models") or granted(case, "microsoft"):
            return served
        return FORBIDDEN
    if only_two_sell(case) and not hosts_alone:
        return FORBIDDEN  # in every segment
    # Afterwards by OpenAI's grant: a recorded one, or OpenAI's launch on the seller's own cloud, for that cloud.
    own_launch = any(launch.cloud == case.cloud and OPERATES.get(launch.cloud) == seller for launch in launches(case))
    if granted(case, seller) or own_launch:
        return served
    return strictest(served, CONDITIONAL)


def only_two_sell(case: Case) -> bool:
    """Only OpenAI and Microsoft sell: until A5, or an earlier milestone."""
    if partnership_ran_out(case) or governs(case, A5) or milestone_reached(case):
        return False
    # For stateful APIs until A4; under R3's alternative until A3.
    if class_of(case.product) == "api.stateful":
        return not (governs(case, A4) or (case.r3 == "a3" and governs(case, A3)))
    return True


def strictest(*outcomes: str) -> str:
    return max(outcomes, key=[PERMITTED, CONDITIONAL, FORBIDDEN].index)


# --- licences --------------------------------------------------------------------------------------------------------


def microsoft_licensed(case: Case, ip: str) -> bool:
    if partnership_ran_out(case):
        return False
    if not governs(case, A3):
        return True  # A1: all of it, hardware counting as products
    if ip == "hardware":
        return False  # A3: consumer hardware is outside
    if ip == "ip.research":
        if governs(case, A5) and case.r6 == "all-ip":
            return case.as_of <= LAST_OF_2032  # R6: "IP" through 2032, whatever became of the milestone
        return case.as_of <= LAST_OF_2030 and not milestone_reached(case)  # A3's end, kept by A5
    return case.as_of <= LAST_OF_2032  # models and products


def may_openai_license(case: Case, to: str) -> bool:
    """The exclusive licence forbids OpenAI to license anyone but Microsoft."""
    # CHOSEN: OpenAI "licensing" itself grants nothing to anybody, and no exclusivity forbids it.
    if to in ("openai", "microsoft"):
        return True
    if partnership_ran_out(case):
        return True
    if not governs(case, A3):
        return False  # A1: exclusive for all IP, hardware with it
    if case.product in ("hardware", "ip.research"):
        return True  # A3: exclusive for models and products only
    if governs(case, A5) or milestone_reached(case):
        return True  # non-exclusive
    return case.as_of > LAST_OF_2032  # an exclusive licence that has ended excludes nobody


def license_to(case: Case) -> str:
    if case.party == "openai":
        return PERMITTED if may_openai_license(case, case.to) else FORBIDDEN
    # CHOSEN: whoever else would license OpenAI's IP on needs a grant for it, like anyone for anything: conditional
    # where OpenAI could give it that day. It cannot give more than it has, so it must be free to license both.
    if not (may_openai_license(case, case.party) and may_openai_license(case, case.to)):
        return FORBIDDEN
    return PERMITTED if granted(case, case.party) else CONDITIONAL


def use_under_licence(case: Case) -> str:
    if case.party == "openai":
        return PERMITTED  # the owner
    if case.party == "microsoft":
        # No longer licensed is forbidden. CHOSEN: unless OpenAI's grant to Microsoft is recorded.
        licensed = microsoft_licensed(case, case.product) or granted(case, "microsoft")
        return PERMITTED if licensed else FORBIDDEN
    if not may_openai_license(case, case.party):
        return FORBIDDEN
    return PERMITTED if granted(case, case.party) else CONDITIONAL


# --- capacity and money ----------------------------------------------------------------------------------------------


def contract_compute(case: Case) -> str:
    openai = openai_contracts(case)
    if case.party == "openai":
        return openai
    if case.party == "microsoft" and openai == CONDITIONAL:
        # Nobody need offer Microsoft what it would contract for itself: its own right never binds it.
        openai = PERMITTED
    # CHOSEN: capacity for OpenAI's workloads is OpenAI's to contract; anyone else needs a grant, conditional where
    # OpenAI could give it that day.
    return openai if granted(case, case.party) else strictest(openai, CONDITIONAL)


def openai_contracts(case: Case) -> str:
    if case.cloud == "azure" or governs(case, A3) or partnership_ran_out(case):
        return PERMITTED  # A3: no right of first refusal any more
    if not governs(case, A2):
        return FORBIDDEN  # A1: all workloads on Azure, and so the new capacity they run on
    if case.cloud == "openai-own":
        return PERMITTED  # A2: OpenAI may build capacity of its own
    # A2: a right of first refusal, met once the capacity was offered to Microsoft and passed on.
    return PERMITTED if any(day <= case.as_of for day in case.supposed.offers_passed) else CONDITIONAL


def share_revenue(case: Case) -> str:
    """Permitted is due, forbidden is nothing due."""
    if class_of(case.product) == "open-weight":
        return FORBIDDEN
    between = (case.party, case.to)
    if between not in (("openai", "microsoft"), ("microsoft", "openai")):
        return FORBIDDEN
    if governs(case, A5):
        # Microsoft pays no more; OpenAI pays through 2030, whatever becomes of the milestone.
        due = between == ("openai", "microsoft") and case.as_of <= LAST_OF_2030
    else:
        # The old shares, in both directions: until the milestone (A3), or as long as the partnership is known to last.
        due = not milestone_reached(case) and not partnership_ran_out(case)
    return PERMITTED if due else FORBIDDEN
