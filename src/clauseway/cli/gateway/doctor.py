"""`clauseway doctor`: is everything there that a gateway needs?"""

import time
from itertools import groupby

from rich.console import Console
from rich.text import Text

from clauseway.app.books.basis import basis_of
from clauseway.app.opening.home import home_at
from clauseway.app.running.doctor import (
    Check,
    Examination,
    Patient,
    examine,
    with_basis,
    with_follower,
    with_room,
    with_settled_agreement,
)
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console, print_indented
from clauseway.values import KnownAt, counted

UNWELL = 2
_COLUMN = 15


def command(
    configuration: options.ConfigurationFile = None,
    facts: options.FactsFile = None,
    agreement: options.AgreementFolders = None,
    home: options.HomeIfNamed = None,
    as_json: options.AsJson = False,
) -> int:
    """Examine what a gateway needs: configuration, credentials, clouds, prices, permission, room.

    Every credential is fetched from where it comes from, every deployment is connected to and asked
    for its models, or, where it has no list of them, sent an empty request that it must refuse.
    Nothing is bought, nothing is changed, no secret is printed. Each failed check says what to do.

    \b
    With the configuration in .clauseway/clauseway.toml:
      clauseway doctor
    With another one, for a machine to read:
      clauseway doctor --config clouds.toml --json

    Exit code: 0 all is well, 2 something is not, 3 the agreement or the prices cannot be read,
    1 a failure, ours or the machine's.
    """
    at = home_at(home)
    basis = basis_of(at)
    patient = Patient(
        opened=options.opened(agreement, facts, None, home, configuration),
        prices=basis.prices(KnownAt(time.time_ns())),
        configuration=configuration or at.configuration,
        home=at,
    )
    examination = with_settled_agreement(with_basis(examine(patient), basis), basis, patient.opened)
    examination = with_room(examination, at.spools)
    examination = with_follower(examination, patient)
    answer(as_json, examination, lambda: _print(console(), examination))
    return 0 if examination.ok else UNWELL


def _print(out: Console, examination: Examination) -> None:
    for deployment, checks in groupby(examination.checks, key=lambda check: check.deployment):
        if deployment:
            out.print(Text(f"\n{deployment}", "bold"))
        for check in checks:
            _print_check(out, check)
    wrong = sum(not check.ok for check in examination.checks)
    if examination.ok:
        out.print(
            Text(f"\nAll is well: {counted(len(examination.checks), 'check')}.", "bold green")
        )
    else:
        out.print(
            Text(f"\n{wrong} of {counted(len(examination.checks), 'check')} not well.", "bold red")
        )


def _print_check(out: Console, check: Check) -> None:
    mark = Text("✓", "bold green") if check.ok else Text("✗", "bold red")
    out.print(
        Text("  ") + mark + Text(f" {check.what:<{_COLUMN}}") + Text(check.found), soft_wrap=True
    )
    if check.remedy:
        print_indented(out, check.remedy, by=4 + _COLUMN, style="yellow")
