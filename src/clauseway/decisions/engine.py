"""The decision in one place: `_decide` reads top to bottom as a lawyer would argue.

unstated?       No amendment that is known is in force.
share-revenue   Is a share due? Nobody asks who owns the product.
unowned?        Nobody owns the product, and no public permission (one to `anyone`) covers any act:
                unstated. Where public permissions cover some of the acts, terms that forbid are asked
                first. (`asking` answers for a product that the agreement does not name.)
forbidden?      Check each act that the question needs. A sale, for example, needs a sale by the
                seller and hosting by the host.
the owner       The owner is permitted, under its own conditions.
another party   Needs a right to each act that it does itself: to sell and to serve, if it serves
                what it sells. For each act the first of these counts:
                    a public permission     permits it, under the party's own conditions
                    a licence               permits it, under the party's and the owner's
                    a grant, recorded or a permission that names the party
                                            permits it, under the party's and the owner's
                    a licence that it lost  forbids it
                    a launch, where the agreement says so
                                            permits it, under the party's and the owner's
                    none of them            leaves it conditional on a grant
                A use under licence has the party's conditions alone; without a licence it is
                forbidden where the owner may not license it.

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
    combined,
    with_beginnings,
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

# The version of the engine, which every receipt contains. Raise it when an answer changes, or what a
# receipt digests.
ENGINE = "clauseway-decisions/7"


def decide_act(case: Case, act: Act) -> Finding:
    """Decide an act, in the order of the module's docstring.

    Texts of reasons and conditions hold placeholders for the names asked about; `named`, of the
    module `case`, fills them in. The event that began a term is cited after the term.
    """
    return with_beginnings(case, _decide(case, act))


def _decide(case: Case, act: Act) -> Finding:
    # Is anything stated?
    if not case.force.stated:
        return Finding(Outcome.UNSTATED, (case.cite_rule("unstated"),))
    if act.action == SHARE:
        return _decide_share(case, act)
    owner = case.owner(act)
    # The acts to which the party itself needs a right.
    own_acts = _acts_needing_a_right(case, act)
    if owner is None and not any(_public_permissions(case, own_acts)):
        return _unowned(case)
    # Every act that has to be done here, by any party. A term that forbids one of them goes before
    # every permission, unless a permission to the party, or to anyone, overrides it (`despite`).
    needed = _acts_done(case, act, owner)
    if forbidding := cite_forbidding_terms(case, needed, act.party):
        return Finding(Outcome.FORBIDDEN, forbidding)
    # The owner may do whatever no term forbids.
    if act.party == owner:
        # Of serving, cite that act alone, and not the sale; of any other act, all that it needs.
        cited = [act] if act.action == SERVE else needed
        return combined(
            Finding(Outcome.PERMITTED, _grounds(case, cited, owner)),
            # The host may be another party: the owner lets it host.
            conditions(case, needed, owner, grantor=owner),
        )
    # Anyone may do what a public permission covers.
    public = _public_permissions(case, own_acts)
    if all(public):
        permitted = Finding(Outcome.PERMITTED, tuple(chain.from_iterable(public)))
        return combined(permitted, conditions(case, needed, act.party))
    # At least one act has no public permission: only an owner could grant the right to it.
    if owner is None:
        return _unowned(case)
    # Any other party needs a licence, a grant or a launch.
    if act.action == USE:
        return _decide_use(case, act, owner)
    return _decide_by_rights(case, act, owner, needed, dict(zip(own_acts, public, strict=True)))


def _unowned(case: Case) -> Finding:
    # Cite the rule `owner`: `unstated` speaks of days on which nothing is in force at all.
    return Finding(Outcome.UNSTATED, (case.cite_rule("owner", f"nobody owns {ASKED_PRODUCT}"),))


def _public_permissions(case: Case, acts: Sequence[Act]) -> list[tuple[Reason, ...]]:
    """Return for each act the permissions that cover it and hold for anyone."""
    return [permissions(case, act, ANYONE) for act in acts]


def _acts_needing_a_right(case: Case, act: Act) -> tuple[Act, ...]:
    """Return the acts to which a party other than the owner needs a right of its own.

    The act asked about comes first. Who serves what it sells itself needs the right to sell too,
    unless the product is never sold: then nobody could be granted that right.
    """
    if act.action != SERVE or act.seller != act.party:
        return (act,)
    sold = case.catalog.takes(act.product, SELL)
    return (act, msgspec.structs.replace(act, action=SELL)) if sold else (act,)


def _acts_done(case: Case, act: Act, owner: str | None) -> tuple[Act, ...]:
    """Return the acts that the act asked about needs, each with the party that does it.

    The sale comes first, if there is one. Ownership is cited for the first act only. So is, in a
    conditional answer, the exclusivity that ended.

    A party that sells what it serves needs both acts. A party that serves for another seller needs
    only the hosting; `asking` asks for the seller's sale.
    """
    if act.action == SELL:
        return act, msgspec.structs.replace(act, action=SERVE, party=host_of(case, act, owner))
    if act.action == SERVE and act.seller == act.party:
        return msgspec.structs.replace(act, action=SELL), act
    if act.action == LICENSE and owner is not None and act.party != owner:
        # A sublicence is forbidden too where a term forbids the owner to license the party, or to
        # license the party's licensee.
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


def _grounds(case: Case, acts: Sequence[Act], owner: str) -> tuple[Reason, ...]:
    """Return the reasons why the owner may do these acts: no term in force forbids them.

    there is                                        cited, in this order
    a permission to the owner or to anyone          carve-outs, the permissions, the exclusivities
                                                    that the acts lie inside
    else a carve-out or such an exclusivity         these, and ownership
    neither                                         the exclusivity that ended, ownership and its
                                                    rule
    """
    as_owner = [msgspec.structs.replace(act, party=owner) for act in acts]
    # Exclusivities are compared with whoever does an act, permissions with the owner.
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
    needed: Sequence[Act],
    public_by_act: Mapping[Act, tuple[Reason, ...]],
) -> Finding:
    """Decide an act of a party that is not the owner: the party needs a right to the act.

    `public_by_act` holds each act that needs a right, with the public permissions that cover it.
    The conditions that bind the owner bind the act too.
    """
    bound = conditions(case, needed, act.party, grantor=owner)
    held: tuple[Reason, ...] = ()
    granted: tuple[Reason, ...] = ()
    lost: list[LostRight] = []
    lacking: list[Act] = []
    # For each act, the first of these counts: a public permission, a licence, a grant, the loss of a
    # licence, a launch. Public permissions and licences go to `held`, grants and launches to `granted`.
    for own_act, permitted in public_by_act.items():
        can_be_licensed = own_act.action in CARRIED_ACTIONS
        licensed = licences(case, own_act) if can_be_licensed else Licences((), ())
        if permitted or licensed.held:
            held += permitted or licensed.held
        elif given := grants(case, own_act):
            granted += given
        elif licensed.lost:
            lost += licensed.lost
        elif launched := launch_on_own_cloud(case, own_act):
            granted += launched
        else:
            lacking.append(own_act)
    if lost:
        return _no_longer_licensed(case, lost, act)
    if lacking:
        # The act asked about comes first. So the sale is the first that lacks a right only where
        # serving has one; the condition's text says so.
        on_grant = _conditional_on_grant(case, owner, needed, asked=act, lacking=lacking[0])
        return combined(on_grant, bound)
    # A licence or a public permission is a right by itself and is cited first. The owner's own
    # grounds are cited in every case: a grant rests on them, and so does hosting by the owner.
    reasons = held + _grounds(case, needed, owner) + granted
    return combined(Finding(Outcome.PERMITTED, reasons), bound)


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
    bound = conditions(case, [act, *licensing], act.party, grantor=owner)
    if granted := grants(case, act):
        return combined(
            Finding(Outcome.PERMITTED, _grounds(case, licensing, owner) + granted), bound
        )
    on_grant = _conditional_on_grant(case, owner, licensing, asked=act, lacking=act)
    return combined(on_grant, bound)


def _no_longer_licensed(case: Case, lost: Sequence[LostRight], act: Act) -> Finding:
    """Forbid the act to a former licensee. The caller found no grant that permits it.

    A launch on the party's own cloud does not restore a lost licence, so launches are not looked
    for.
    """
    # The loss of the latest day decides.
    last = max(lost, key=lambda loss: loss.rank)
    return Finding(Outcome.FORBIDDEN, (*cite_loss(case, last, act), case.cite_rule("licensee")))


def _conditional_on_grant(
    case: Case, owner: str, needed: Sequence[Act], *, asked: Act, lacking: Act
) -> Finding:
    """Answer that the act asked about is conditional: the owner could grant the act that lacks a
    right, and has not."""
    ended_grant = last_ended_grant(case, lacking)
    so_far = f"the last grant {ended_grant.note}" if ended_grant else "no grant is recorded"
    text = f"{owner} must grant it to {ASKED_PARTY}; {so_far}."
    if lacking.action != asked.action:
        text = f"{ASKED_PARTY} may serve it for another seller; to sell it too, {text}"
    condition = Condition(
        term="grant",  # no term asks for it, but the owner's consent is missing
        text=text,
        needs=(f"grant:{ASKED_PARTY}:{ASKED_PRODUCT}",),  # as `--suppose` takes it
    )
    # Cite the exclusivity that reserved the first act needed: the sale, if there is one.
    ended_exclusivity = last_exclusivity(case, needed[:1])
    former = lost_permissions(case, lacking)
    paused = chain.from_iterable(map(cite_end_or_pause, former.paused))
    # The latest ending first: it tells how things came to stand as they do.
    endings: list[tuple[date, tuple[Reason, ...]]] = []
    if ended_exclusivity is not None:
        endings.append((ended_exclusivity.day, cite_exclusivity(ended_exclusivity)))
    if former.last is not None:
        endings.append((former.last.day, cite_loss(case, former.last, lacking)))
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

    A cap is a limit, not a condition.
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
        # Where the product counts on some other cloud, name the cloud as the reason. Without a
        # cloud, the product alone is compared.
        elsewhere = any(
            _is_in_base(case, state, msgspec.structs.replace(act, cloud="")) for state in in_force
        )
        note = (
            "sales on that cloud are in no base" if elsewhere else f"{ASKED_PRODUCT} is in no base"
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
    """Return whether the base contains the product and cloud asked about, by the ledger's rule.

    Without a product, only the cloud is compared; without either, the share as a whole counts.
    """
    term = state.term
    assert isinstance(term, RevenueShareTerm)
    if act.product:
        return term.base.takes_in(case.lineage(act.product), act.cloud)
    return not act.cloud or not term.base.clouds or act.cloud in term.base.clouds
