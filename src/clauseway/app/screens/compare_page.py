"""Two amendments compared for the lawyer's screen, as `clauseway agreement diff` compares them."""

from clauseway.app.agreements.comparing import compare_sides
from clauseway.app.opening.several import Opened, each_of
from clauseway.values import InvalidInput, counted
from clauseway.web.lawyer import ChangeGroupShown, CompareContext, FieldChoice, FormField
from clauseway.wording.changes import ChangeGroup, Comparison, outcomes_of


def named_or_last(opened: Opened, before: str, after: str) -> tuple[str, str]:
    """Return the named amendments, by default the last two."""
    if before or after:
        return before, after
    last = [amendment.id for amendment in each_of(opened)[0].agreement.amendments][-2:]
    return ("", last[0]) if len(last) == 1 else (last[0], last[1])


def compare_page(opened: Opened, before: str, after: str) -> CompareContext:
    """Return the comparison, or its form with the reason why it cannot be made."""
    fields = (_field(opened, "before", before), _field(opened, "after", after))
    if any(field.problem for field in fields):
        return CompareContext(fields=fields)
    try:
        # One amendment alone is compared with the text before it.
        comparison = compare_sides(opened, [name for name in (before, after) if name], (), (), {})
    except InvalidInput as error:
        return CompareContext(fields=fields, problem=error.sentences)
    return _shown(fields, comparison)


def _shown(fields: tuple[FormField, ...], comparison: Comparison) -> CompareContext:
    return CompareContext(
        fields=fields,
        is_compared=True,
        before=str(comparison.before),
        after=str(comparison.after),
        rescissions=tuple(f"{each.sentence}. {each.place}" for each in comparison.rescissions),
        unchanged=comparison.unchanged,
        groups=groups_shown(comparison.shown),
        counted=answered_otherwise(comparison.shown),
    )


def answered_otherwise(comparison: Comparison) -> str:
    changed = len(comparison.changed)
    return f"{counted(changed, 'combination')} {'is' if changed == 1 else 'are'} answered otherwise"


def groups_shown(comparison: Comparison, drafted: str = "") -> tuple[ChangeGroupShown, ...]:
    """Return the groups of a comparison as the screens show them. `drafted` is the document of a
    draft."""
    return tuple(_group(group, drafted) for group in comparison.groups)


def _group(group: ChangeGroup, drafted: str) -> ChangeGroupShown:
    before, after = outcomes_of(group)
    return ChangeGroupShown(
        sentence=group.without_outcomes,
        before=before,
        after=after,
        citation=group.because.citation,
        place=group.place,
        combinations=f"{group.count:,}",
        is_drafted=group.because.citation.document.rpartition("/")[2] == drafted,
    )


def _field(opened: Opened, name: str, value: str) -> FormField:
    choices = [
        FieldChoice(amendment.id, f"{amendment.id} {amendment.title}")
        for amendment in each_of(opened)[0].agreement.amendments
    ]
    known = {choice.value for choice in choices}
    is_known = value in known or not value
    names = ", ".join(choice.value for choice in choices)
    return FormField(
        id=name,
        name=name,
        label="from" if name == "before" else "to",
        value=value,
        choices=(
            FieldChoice("", "the text before it"),
            *(() if is_known else (FieldChoice(value, value),)),
            *choices,
        ),
        problem="" if is_known else f"There is no amendment {value!r}. Known: {names}.",
    )
