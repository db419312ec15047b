"""The decision in one place: `_decide` reads top to bottom as a lawyer would argue.

unstated?       No amendment that is known is in force.
share-revenue   Is a share due? Nobody asks who owns the product.
unowned?        Nobody owns the product, and no public permission (one to `anyone`) covers any act:
                unstated. Where public permissions cover only some of the acts, terms that forbid are
                asked first, then it is unstated. (`asking` answers for a product that the agreement does not name.)
forbidden?      Check each act that the question needs. A sale, for example, needs a sale by the
                seller and hosting by the host.
the owner       The owner is permitted, under its own conditions.
another party   Needs a right to each act that it does itself: to sell and to serve, if it serves
                what it sells. For each act the first of these counts:
                    a public permission     permits it, under the party's own conditions
                    a licence               permits it, under the party's and the owner's
                    a grant: recorded, or a permission that names the party
                                            permits it, under the party's and the owner's
                    a licence that it lost  forbids it
                    a launch on the party's own cloud, if the agreement has the rule `launch`
                                            permits it, under the party's and the owner's
                    none of them            leaves it conditional on a grant
                A use needs a licence in force (the party's conditions apply) or a grant (the owner's
                conditions apply as well). A grant does not help where a term forbids the owner to
                license the party. Without either: forbidden if a licence was lost or such a term is
                in force, else conditional on a grant.

`asking` builds the case from a question, and the decision from the finding.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import chain

import msgspec

from clauseway.agreement import RevenueShareTerm, TermState
from clauseway.agreement.language.actions import LICENSE, SELL, SERVE, SHARE, USE
from clauseway.agreement.language.terms import ANYONE
from clauseway.decisions.case import (
    ASKED_PARTY,
    ASKED_PRODUCT,
    Case,
    Finding,
    cite_beginning_events,
    combined,
)
from clauseway.decisions.conditions import conditions
from clauseway.decisions.decision import Condition, Outcome, Reason
from clauseway.decisions.endings import cite_end_or_pause, cite_loss
from clauseway.decisions.forbidding import (
    cite_exclusivity,
    cite_forbidding_terms,
    cite_last_exclusivity,
    find_exemptions,
    last_exclusivity,
)
from clauseway.decisions.givers import LostRight
from clauseway.decisions.reach import Act
from clauseway.decisions.rights import (
    CARRIED_ACTIONS,
    Licences,
    grants,
    last_ended_grant,
    launch_on_own_cloud,
    licences,
    lost_permissions,
    ownership,
    permissions,
)

# The version of the engine, which every receipt contains. Increase it whenever an answer, or the
# content of a receipt's digest, changes.
ENGINE = "clauseway-decisions/7"


def decide_act(case: Case, act: Act) -> Finding:
    """Decide an act, in the order of the module's docstring.

    Texts of reasons and conditions hold placeholders for the names asked about; `named`, of the
    module `case`, fills them in. The event that began a term is cited after the term.
    """
    return cite_beginning_events(case, _decide(case, act))


def _decide(case: Case, act: Act) -> Finding:
    # Is anything stated?
    if not case.force.stated:
        return Finding(Outcome.UNSTATED, (case.cite_rule("unstated"),))
    if act.action == SHARE:
        return _decide_share(case, act)
    owner = case.owner(act)
    own_acts = _own_acts(case, act)
    if owner is None and not any(_public_permissions(case, own_acts)):
        return _unowned(case)
    # If a term forbids one of these acts, whoever does it, that prevails over every permission,
    # unless a permission to the party, or to anyone, overrides it (`despite`).
    needed_acts = _needed_acts(case, act, owner)
    if forbidding := cite_forbidding_terms(case, needed_acts, act.party):
        return Finding(Outcome.FORBIDDEN, forbidding)
    # The owner may do whatever no term forbids.
    if act.party == owner:
        # If the question is to serve, cite only the serving. Otherwise cite all acts done.
        cited_acts = [act] if act.action == SERVE else needed_acts
        return combined(
            Finding(Outcome.PERMITTED, _owner_reasons(case, cited_acts, owner)),
            # If another party hosts, the owner grants it the hosting, so the conditions that bind
            # the owner's grants bind too.
            conditions(case, needed_acts, owner, grantor=owner),
        )
    # Anyone may do what a public permission covers.
    public = _public_permissions(case, own_acts)
    if all(public):
        permitted = Finding(Outcome.PERMITTED, tuple(chain.from_iterable(public)))
        return combined(permitted, conditions(case, needed_acts, act.party))
    # At least one act has no public permission: only an owner could grant the right to it.
    if owner is None:
        return _unowned(case)
    # Any other party needs a licence, a grant or a launch.
    if act.action == USE:
        return _decide_use(case, act, owner)
    public_by_act = dict(zip(own_acts, public, strict=True))
    return _decide_by_rights(case, act, owner, needed_acts, public_by_act)


def _unowned(case: Case) -> Finding:
    # Cite the rule `owner`. The rule `unstated` is about days on which no amendment is in force.
    return Finding(Outcome.UNSTATED, (case.cite_rule("owner", f"nobody owns {ASKED_PRODUCT}"),))


def _public_permissions(case: Case, acts: Sequence[Act]) -> list[tuple[Reason, ...]]:
    """Return for each act the permissions that cover it and hold for anyone."""
    return [permissions(case, act, ANYONE) for act in acts]


def _own_acts(case: Case, act: Act) -> tuple[Act, ...]:
    """Return the acts to which a party other than the owner needs a right of its own.

    The act asked about comes first. A party that serves its own sales also needs the right
    to sell, unless the product is never sold: then nobody could be granted that right.
    """
    if act.action != SERVE or act.seller != act.party:
        return (act,)
    sold = case.catalog.takes(act.product, SELL)
    return (act, msgspec.structs.replace(act, action=SELL)) if sold else (act,)


def _needed_acts(case: Case, act: Act, owner: str | None) -> tuple[Act, ...]:
    """Return the acts that the act asked about needs, each with the party that does it.

    The sale comes first, if there is one. Callers cite ownership, and in a conditional answer the
    exclusivity that ended, for the first act only.

    A party that sells what it serves needs both acts. A party that serves for another seller needs
    only the hosting; `asking` asks for the seller's sale.
    """
    if act.action == SELL:
        return act, msgspec.structs.replace(act, action=SERVE, party=host_of(case, act, owner))
    if act.action == SERVE and act.seller == act.party:
        return msgspec.structs.replace(act, action=SELL), act
    if act.action == LICENSE and owner is not None and act.party != owner:
        # A term that forbids the owner to license the party, or the party's licensee, also forbids
        # the sublicence.
        return act, _licensing(act, owner, act.party), _licensing(act, owner, act.to)
    return (act,)


def host_of(case: Case, act: Act, owner: str | None) -> str:
    """Return the host on a cloud: the owner if the product launched there, else the operator.

    A recorded launch means that the owner itself brought the product there. Empty where nobody is
    known to run the cloud.
    """
    launches = case.facts.launches(act.product)
    if owner and any(
        launch.cloud == act.cloud and launch.effective <= case.as_of for launch in launches
    ):
        return owner
    return case.catalog.operators.get(act.cloud, "")


def _owner_reasons(case: Case, acts: Sequence[Act], owner: str) -> tuple[Reason, ...]:
    """Return the reasons why the owner may do these acts: no term in force forbids them.

    If a permission to the owner, or to anyone, covers the acts: cite carve-outs, the permissions,
    and the exclusivities that the acts lie inside. Else, if there is a carve-out or such an
    exclusivity: cite both, then ownership. Else: cite the last exclusivity that ended, ownership,
    and the rule `owner`.
    """
    # Each of `acts` keeps the party that does it, for exclusivities; `as_owner` are the same acts
    # as done by the owner, for permissions.
    as_owner = [msgspec.structs.replace(act, party=owner) for act in acts]
    exemptions = find_exemptions(case, acts)
    permitting = [
        reason
        for act in as_owner
        for party in (owner, ANYONE)
        for reason in permissions(case, act, party)
    ]
    if permitting:
        return (*exemptions.exempt, *permitting, *exemptions.inside)
    owned = ownership(case, acts[0])
    if exemptions.exempt or exemptions.inside:
        return (*exemptions.exempt, *exemptions.inside, *owned)
    return (*cite_last_exclusivity(case, acts), *owned, case.cite_rule("owner"))


# Parties other than the owner


def _decide_by_rights(
    case: Case,
    act: Act,
    owner: str,
    needed_acts: Sequence[Act],
    public_by_act: Mapping[Act, tuple[Reason, ...]],
) -> Finding:
    """Decide an act of a party that is not the owner: the party needs a right to the act.

    `public_by_act` holds each act that needs a right, with the public permissions that cover it.
    The conditions that bind the owner bind the act too.
    """
    conditions_of_both = conditions(case, needed_acts, act.party, grantor=owner)
    held_reasons: tuple[Reason, ...] = ()
    granted_reasons: tuple[Reason, ...] = ()
    lost: list[LostRight] = []
    lacking: list[Act] = []
    # For each act, the first of these counts: a public permission, a licence, a grant, the loss of a
    # licence, a launch. Public permissions and licences are rights that the party holds; grants and
    # launches are given to it by the owner.
    for own_act, public in public_by_act.items():
        can_be_licensed = own_act.action in CARRIED_ACTIONS
        licensed = licences(case, own_act) if can_be_licensed else Licences((), ())
        if held := public or licensed.held:
            held_reasons += held
        elif granted := grants(case, own_act):
            granted_reasons += granted
        elif licensed.lost:
            lost += licensed.lost
        elif launched := launch_on_own_cloud(case, own_act):
            granted_reasons += launched
        else:
            lacking.append(own_act)
    if lost:
        return _no_longer_licensed(case, lost, act)
    if lacking:
        # The act asked about comes first. If the sale is first in `lacking`, the party may serve
        # already; the condition's text says so.
        on_grant = _conditional_on_grant(case, owner, needed_acts, asked=act, lacking=lacking[0])
        return combined(on_grant, conditions_of_both)
    # A licence or a public permission is a right by itself and is cited first. The owner's own
    # reasons are cited in every case: a grant rests on them, and so does hosting by the owner.
    reasons = held_reasons + _owner_reasons(case, needed_acts, owner) + granted_reasons
    return combined(Finding(Outcome.PERMITTED, reasons), conditions_of_both)


def _decide_use(case: Case, act: Act, owner: str) -> Finding:
    """Decide a use of intellectual property by a party that is not the owner.

    A licence in force permits it; so does a grant, unless a term forbids the owner to license it.
    With neither, it is forbidden where a licence was lost or such a term is in force; else it is
    conditional on a grant.
    """
    licensed = licences(case, act)
    if licensed.held:
        return combined(
            Finding(Outcome.PERMITTED, licensed.held), conditions(case, [act], act.party)
        )
    if licensed.lost and not grants(case, act):
        return _no_longer_licensed(case, licensed.lost, act)
    # Without a licence, the answer depends on whether the owner may still give one.
    licensing = (_licensing(act, owner, act.party),)
    if forbidding := cite_forbidding_terms(case, licensing, owner):
        return Finding(Outcome.FORBIDDEN, (*forbidding, case.cite_rule("grant")))
    conditions_of_both = conditions(case, [act, *licensing], act.party, grantor=owner)
    if granted := grants(case, act):
        return combined(
            Finding(Outcome.PERMITTED, _owner_reasons(case, licensing, owner) + granted),
            conditions_of_both,
        )
    on_grant = _conditional_on_grant(case, owner, licensing, asked=act, lacking=act)
    return combined(on_grant, conditions_of_both)


def _no_longer_licensed(case: Case, lost: Sequence[LostRight], act: Act) -> Finding:
    """Forbid the act to a former licensee. The caller found no grant that permits it.

    A launch on the party's own cloud does not restore a lost licence, so launches are not looked
    for.
    """
    # The latest loss decides.
    last = max(lost, key=lambda loss: loss.rank)
    return Finding(Outcome.FORBIDDEN, (*cite_loss(case, last, act), case.cite_rule("licensee")))


def _conditional_on_grant(
    case: Case, owner: str, needed_acts: Sequence[Act], *, asked: Act, lacking: Act
) -> Finding:
    """Answer *conditional*: the owner has not granted the right to `lacking`, and could."""
    ended_grant = last_ended_grant(case, lacking)
    so_far = f"the last grant {ended_grant.note}" if ended_grant else "no grant is recorded"
    text = f"{owner} must grant it to {ASKED_PARTY}; {so_far}."
    if lacking.action != asked.action:
        text = f"{ASKED_PARTY} may serve it for another seller; to sell it too, {text}"
    condition = Condition(
        term="grant",  # names the rule, because no term requires the consent
        text=text,
        needs=(f"grant:{ASKED_PARTY}:{ASKED_PRODUCT}",),  # as `--suppose` takes it
    )
    # Cite the exclusivity that reserved the first act done: the sale, if there is one.
    ended_exclusivity = last_exclusivity(case, needed_acts[:1])
    lost_rights = lost_permissions(case, lacking)
    paused = chain.from_iterable(map(cite_end_or_pause, lost_rights.paused))
    # Cite the latest ending first: it explains the present state.
    endings: list[tuple[date, tuple[Reason, ...]]] = []
    if ended_exclusivity is not None:
        endings.append((ended_exclusivity.day, cite_exclusivity(ended_exclusivity)))
    if lost_rights.last is not None:
        endings.append((lost_rights.last.day, cite_loss(case, lost_rights.last, lacking)))
    if ended_grant is not None:
        endings.append((ended_grant.day, ended_grant.reasons))
    endings.sort(key=lambda ending: ending[0], reverse=True)
    ended = chain.from_iterable(reasons for _, reasons in endings)
    reasons = (*paused, *ended, case.cite_rule("grant"), *case.commentary("grant"))
    return Finding(Outcome.CONDITIONAL, reasons, (condition,))


def _licensing(act: Act, owner: str, to: str) -> Act:
    return msgspec.structs.replace(act, action=LICENSE, party=owner, to=to)


# Revenue shares


def _decide_share(case: Case, act: Act) -> Finding:
    """Decide a revenue share: permitted if it is due, forbidden if it is not.

    A cap limits the amount; it does not make the share conditional.
    """
    shares = [state for state in case.states(RevenueShareTerm) if case.reaches(state.term, act)]
    in_force = [state for state in shares if state.in_force]
    due = [state for state in in_force if _is_in_base(case, state, act)]
    if due:
        return Finding(
            Outcome.PERMITTED,
            tuple(Reason.of("permits", state.term.citation, "due") for state in due),
        )
    if in_force:
        # If the base contains the product on any cloud, the cloud is the reason. An act without a
        # cloud compares the product alone.
        in_base_elsewhere = any(
            _is_in_base(case, state, msgspec.structs.replace(act, cloud="")) for state in in_force
        )
        note = (
            "sales on that cloud are in no base"
            if in_base_elsewhere
            else f"{ASKED_PRODUCT} is in no base"
        )
        excluded = tuple(Reason.of("forbids", state.term.citation, note) for state in in_force)
        return Finding(Outcome.FORBIDDEN, excluded)
    # No share is in force: cite the share that ended last, if any, and the rule on silence.
    ended = [state for state in shares if state.ended]
    if ended:
        last = max(ended, key=lambda state: (state.end, state.order))
        return Finding(Outcome.FORBIDDEN, (*cite_end_or_pause(last), case.cite_rule("share")))
    return Finding(Outcome.FORBIDDEN, (case.cite_rule("share"),))


def _is_in_base(case: Case, state: TermState, act: Act) -> bool:
    """Return whether the base contains the product and cloud asked about, as in the ledger: both
    ask `ShareBase.takes_in`.

    Without a product, only the cloud is compared; without either, the share as a whole counts.
    """
    term = state.term
    assert isinstance(term, RevenueShareTerm)
    if act.product:
        return term.base.takes_in(case.lineage(act.product), act.cloud)
    cloud_does_not_matter = not (act.cloud and term.base.clouds)
    return cloud_does_not_matter or act.cloud in term.base.clouds
