"""The decision in one place: `_decide` reads top to bottom as a lawyer would argue.

unstated?       No amendment that is known is in force.
share-revenue   Is a share due? Ownership of the product does not matter.
unowned?        Nobody owns the product, and no public permission (a permission to `anyone`) covers
                any act: unstated. Where public permissions cover only some of the acts, terms that
                forbid come first, then the answer is unstated. (The module `asking` answers for a
                product that the agreement does not name.)
forbidden?      Check each act that the question needs. A sale, for example, needs a sale by the
                seller and hosting by the host.
the owner       The owner is permitted, under the conditions that bind it.
another party   Needs a right to each act that it does itself. If it serves what it sells, these are
                two acts: to serve and to sell. For each act, the first of these that applies counts:
                    a public permission     permits it, under the conditions that bind the party
                    a licence               permits it, under those that bind the party or the owner
                    a grant: recorded, or a permission that names the party
                                            permits it, under the same conditions
                    a licence that the party lost
                                            forbids it
                    a launch on the party's own cloud, if the agreement has the rule `launch`
                                            permits it, under the same conditions
                    none of them            leaves it conditional on a grant
                A use needs a licence in force (the conditions that bind the party apply) or a grant
                (those that bind the owner apply as well). A grant does not help where a term
                forbids the owner to license the party. Without either: forbidden if a licence was
                lost or such a term is in force, else conditional on a grant.

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
    cite_events_and_changes,
    combined,
)
from clauseway.decisions.conditions import find_conditions
from clauseway.decisions.decision import Condition, Outcome, Reason
from clauseway.decisions.endings import cite_end_or_pause, cite_loss
from clauseway.decisions.forbidding import (
    cite_exclusivity,
    cite_forbidding_terms,
    cite_last_exclusivity,
    find_exemptions,
    find_last_exclusivity,
)
from clauseway.decisions.givers import LostRight
from clauseway.decisions.reach import Act
from clauseway.decisions.rights import (
    LICENSABLE_ACTIONS,
    Licences,
    cite_grants,
    cite_launch_on_own_cloud,
    cite_ownership,
    cite_permissions,
    find_ended_ownership,
    find_last_ended_grant,
    find_licences,
    find_lost_permissions,
)

# The version of the engine, which every receipt contains. Increase it whenever an answer, or the
# content of a receipt's digest, changes.
ENGINE = "clauseway-decisions/9"


def decide_act(case: Case, act: Act) -> Finding:
    """Decide an act, in the order of the module's docstring.

    The texts of reasons and conditions hold placeholders for the names asked about; `case.named`
    fills them in. Where an event began a term, or a change keeps it in force past its own end, the
    event or change is cited after the term.
    """
    return cite_events_and_changes(case, _decide(case, act))


def _decide(case: Case, act: Act) -> Finding:
    # Is any amendment in force?
    if not case.force.stated:
        return Finding(Outcome.UNSTATED, (case.cite_rule("unstated"),))
    if act.action == SHARE:
        return _decide_share(case, act)
    owner = case.owner(act)
    party_acts = _acts_of_party(case, act)
    if owner is None and not any(_public_permissions(case, party_acts)):
        return _unstated_without_owner(case, act)
    # A term that forbids one of the needed acts, whoever does it, prevails over every permission,
    # except a permission to the party, or to anyone, that overrides the term (`despite`).
    needed_acts = _needed_acts(case, act, owner)
    if forbidding := cite_forbidding_terms(case, needed_acts, act.party):
        return Finding(Outcome.FORBIDDEN, forbidding)
    # The owner may do whatever no term forbids.
    if act.party == owner:
        # For a question about serving, cite the reasons for serving alone, not those for the sale.
        cited_acts = [act] if act.action == SERVE else needed_acts
        return combined(
            Finding(Outcome.PERMITTED, _owner_reasons(case, cited_acts, owner)),
            # Where another party hosts, the owner grants the hosting: the conditions that bind
            # the owner's grants count as well.
            find_conditions(case, needed_acts, owner, grantor=owner),
        )
    # Anyone may do an act that a public permission covers.
    public_permissions = _public_permissions(case, party_acts)
    if all(public_permissions):
        permitted = Finding(Outcome.PERMITTED, tuple(chain.from_iterable(public_permissions)))
        return combined(permitted, find_conditions(case, needed_acts, act.party))
    # At least one act has no public permission: only an owner could grant the right to it.
    if owner is None:
        return _unstated_without_owner(case, act)
    # Any other party needs a licence, a grant or a launch.
    if act.action == USE:
        return _decide_use(case, act, owner)
    public_by_act = dict(zip(party_acts, public_permissions, strict=True))
    return _decide_by_rights(case, act, owner, needed_acts, public_by_act)


def _unstated_without_owner(case: Case, act: Act) -> Finding:
    # Cite the ownership that ended last, and the rule `owner`. The rule `unstated` is about days on
    # which no amendment is in force.
    ended = find_ended_ownership(case, act)
    reasons = cite_end_or_pause(ended) if ended is not None else ()
    note = f"nobody owns {ASKED_PRODUCT}"
    return Finding(Outcome.UNSTATED, (*reasons, case.cite_rule("owner", note)))


def _public_permissions(case: Case, acts: Sequence[Act]) -> list[tuple[Reason, ...]]:
    """Return for each act the permissions in force to anyone that cover it."""
    return [cite_permissions(case, act, ANYONE) for act in acts]


# The acts of a question


def _acts_of_party(case: Case, act: Act) -> tuple[Act, ...]:
    """Return the party's own acts. A party that is not the owner needs a right to each of them.

    The act asked about comes first. A party that serves what it sells also needs the right to
    sell, unless the product is never sold: then nobody could grant a right to sell it.
    """
    if act.action != SERVE or act.seller != act.party:
        return (act,)
    sold = case.catalog.takes(act.product, SELL)
    return (act, msgspec.structs.replace(act, action=SELL)) if sold else (act,)


def _needed_acts(case: Case, act: Act, owner: str | None) -> tuple[Act, ...]:
    """Return every act that the act asked about needs, each with the party that does the act.

    The sale comes first, if there is one. Callers cite ownership, and in a conditional answer the
    exclusivity that ended, for the first act only.

    To serve what the party sells takes both acts. To serve for another seller takes the hosting
    alone; the module `asking` decides the seller's sale beside it.
    """
    if act.action == SELL:
        return act, msgspec.structs.replace(act, action=SERVE, party=host_of(case, act, owner))
    if act.action == SERVE and act.seller == act.party:
        return msgspec.structs.replace(act, action=SELL), act
    if act.action == LICENSE and owner is not None and act.party != owner:
        # A term that forbids the owner to license the party also forbids the sublicence. One that
        # forbids to license the licensee (`only: {licensees: …}`) bears on the act itself, whoever
        # licenses.
        return act, _licensing_act(act, owner)
    return (act,)


def _licensing_act(act: Act, owner: str) -> Act:
    """Return the owner's act of licensing the party."""
    return msgspec.structs.replace(act, action=LICENSE, party=owner, to=act.party)


def host_of(case: Case, act: Act, owner: str | None) -> str:
    """Return the party that hosts on the act's cloud: the owner if the product launched there,
    else the cloud's operator; empty if the operator is not known.

    A recorded launch means that the owner itself brought the product to the cloud.
    """
    launches = case.facts.launches(act.product)
    if owner and any(
        launch.cloud == act.cloud and launch.effective <= case.as_of for launch in launches
    ):
        return owner
    return case.catalog.operators.get(act.cloud, "")


def _owner_reasons(case: Case, acts: Sequence[Act], owner: str) -> tuple[Reason, ...]:
    """Return the reasons why the owner may do these acts, which no term in force forbids.

    Cite the first of these that the agreement has:
    1. a permission of an act to the owner, or to anyone: the carve-outs, the permissions, and the
       exclusivities that the acts lie inside;
    2. a carve-out, or an exclusivity that an act lies inside: both, then ownership;
    3. neither: the last exclusivity that ended, ownership, and the rule `owner`.
    """
    # Exclusivities are about the party that does an act. Permissions are asked for as if the owner
    # did each act itself.
    exemptions = find_exemptions(case, acts)
    acts_by_owner = [msgspec.structs.replace(act, party=owner) for act in acts]
    permitting = [
        reason
        for act in acts_by_owner
        for party in (owner, ANYONE)
        for reason in cite_permissions(case, act, party)
    ]
    if permitting:
        return (*exemptions.exempt, *permitting, *exemptions.inside)
    owned = cite_ownership(case, acts[0])
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
    """Decide an act of a party that is not the owner, by its rights to each of its own acts.

    `public_by_act` holds the party's own acts, each with the public permissions that cover it. The
    conditions that bind the owner count as well as those that bind the party.
    """
    conditions_of_both = find_conditions(case, needed_acts, act.party, grantor=owner)
    # Public permissions and licences are rights that the party holds; grants and launches are
    # rights that the owner gave it.
    reasons_held: tuple[Reason, ...] = ()
    reasons_given: tuple[Reason, ...] = ()
    lost_licences: list[LostRight] = []
    acts_without_right: list[Act] = []
    # For each act the first right or loss counts, in the order of the module's docstring.
    for party_act, public_permissions in public_by_act.items():
        can_be_licensed = party_act.action in LICENSABLE_ACTIONS
        licensed = find_licences(case, party_act) if can_be_licensed else Licences((), ())
        if held := public_permissions or licensed.held:
            reasons_held += held
        elif granted := cite_grants(case, party_act):
            reasons_given += granted
        elif licensed.lost:
            lost_licences += licensed.lost
        elif launched := cite_launch_on_own_cloud(case, party_act):
            reasons_given += launched
        else:
            acts_without_right.append(party_act)
    if lost_licences:
        return _forbidden_by_loss(case, lost_licences, act)
    if acts_without_right:
        # The act asked about comes first in `public_by_act`. If the sale is the first without a
        # right, the party may serve already, and the condition's text says so.
        on_grant = _conditional_on_grant(
            case, owner, needed_acts, asked=act, to_grant=acts_without_right[0]
        )
        return combined(on_grant, conditions_of_both)
    # A licence or a public permission is a right by itself, so it is cited first. The owner's
    # reasons are cited in every case: a grant rests on them, and so does hosting by the owner.
    reasons = reasons_held + _owner_reasons(case, needed_acts, owner) + reasons_given
    return combined(Finding(Outcome.PERMITTED, reasons), conditions_of_both)


def _decide_use(case: Case, act: Act, owner: str) -> Finding:
    """Decide a use of intellectual property by a party that is not the owner.

    A licence in force permits the use; so does a grant, unless a term forbids the owner to license
    the party. Without either, the use is forbidden where a licence was lost or such a term is in
    force; else it is conditional on a grant.
    """
    licensed = find_licences(case, act)
    if licensed.held:
        return combined(
            Finding(Outcome.PERMITTED, licensed.held), find_conditions(case, [act], act.party)
        )
    if licensed.lost and not cite_grants(case, act):
        return _forbidden_by_loss(case, licensed.lost, act)
    # Without a licence, the answer depends on whether the owner may license the party.
    licensing = (_licensing_act(act, owner),)
    if forbidding := cite_forbidding_terms(case, licensing, owner):
        return Finding(Outcome.FORBIDDEN, (*forbidding, case.cite_rule("grant")))
    conditions_of_both = find_conditions(case, [act, *licensing], act.party, grantor=owner)
    if granted := cite_grants(case, act):
        return combined(
            Finding(Outcome.PERMITTED, _owner_reasons(case, licensing, owner) + granted),
            conditions_of_both,
        )
    on_grant = _conditional_on_grant(case, owner, licensing, asked=act, to_grant=act)
    return combined(on_grant, conditions_of_both)


def _forbidden_by_loss(case: Case, lost_licences: Sequence[LostRight], act: Act) -> Finding:
    """Forbid the act to a party that lost its licence and has no grant; cite the latest loss.

    A launch on the party's own cloud does not restore a lost licence.
    """
    latest = max(lost_licences, key=lambda loss: loss.rank)
    return Finding(Outcome.FORBIDDEN, (*cite_loss(case, latest, act), case.cite_rule("licensee")))


def _conditional_on_grant(
    case: Case, owner: str, needed_acts: Sequence[Act], *, asked: Act, to_grant: Act
) -> Finding:
    """Answer *conditional*: the owner could grant the act `to_grant`, and no grant is in force.

    Cite the permissions that pause; then the exclusivity, the permission, the grant and the party's
    own ownership that ended, the latest ending first; then the rule `grant`.
    """
    ended_grant = find_last_ended_grant(case, to_grant)
    so_far = f"the last grant {ended_grant.note}" if ended_grant else "no grant is recorded"
    text = f"{owner} must grant it to {ASKED_PARTY}; {so_far}."
    if to_grant.action != asked.action:
        text = f"{ASKED_PARTY} may serve it for another seller; to sell it too, {text}"
    condition = Condition(
        term="grant",  # names the rule, because no term requires the consent
        text=text,
        needs=(f"grant:{ASKED_PARTY}:{ASKED_PRODUCT}",),  # as `--suppose` takes it
    )
    # Of exclusivities, cite the last that reserved the first act: the sale, if there is one.
    ended_exclusivity = find_last_exclusivity(case, needed_acts[:1])
    lost = find_lost_permissions(case, to_grant)
    paused = chain.from_iterable(map(cite_end_or_pause, lost.paused))
    # Cite the latest ending first: it explains best why no right is in force.
    endings: list[tuple[date, tuple[Reason, ...]]] = []
    if ended_exclusivity is not None:
        endings.append((ended_exclusivity.day, cite_exclusivity(ended_exclusivity)))
    if lost.last is not None:
        endings.append((lost.last.day, cite_loss(case, lost.last, to_grant)))
    if ended_grant is not None:
        endings.append((ended_grant.day, ended_grant.reasons))
    if (ended_ownership := find_ended_ownership(case, to_grant, asked.party)) is not None:
        endings.append((ended_ownership.end, cite_end_or_pause(ended_ownership)))
    endings.sort(key=lambda ending: ending[0], reverse=True)
    ended = chain.from_iterable(reasons for _, reasons in endings)
    reasons = (*paused, *ended, case.cite_rule("grant"), *case.commentary("grant"))
    return Finding(Outcome.CONDITIONAL, reasons, (condition,))


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
        # If the base contains the product on another cloud, the cloud is why no share is due. To
        # compare the product alone, leave the cloud out of the act.
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
    # No share is in force: cite the share that ended last, if any, and the rule `share`.
    ended = [state for state in shares if state.ended]
    if ended:
        last = max(ended, key=lambda state: (state.end, state.order))
        return Finding(Outcome.FORBIDDEN, (*cite_end_or_pause(last), case.cite_rule("share")))
    return Finding(Outcome.FORBIDDEN, (case.cite_rule("share"),))


def _is_in_base(case: Case, state: TermState, act: Act) -> bool:
    """Return whether the share's base contains the product and cloud asked about.

    An act without a product compares the cloud alone; an act without either asks about the share as
    a whole. The ledger asks `ShareBase.takes_in` as well, so money follows the same base.
    """
    term = state.term
    assert isinstance(term, RevenueShareTerm)
    if act.product:
        return term.base.takes_in(case.lineage(act.product), act.cloud)
    cloud_does_not_matter = not (act.cloud and term.base.clouds)
    return cloud_does_not_matter or act.cloud in term.base.clouds
