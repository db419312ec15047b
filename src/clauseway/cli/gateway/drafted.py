"""A configuration that was begun for somebody, told on a terminal: every model with how its sale
stands, every setting with what became of it, and what comes next."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from clauseway.app.drafting.importing_litellm import (
    LEFT_OUT,
    ImportedConfiguration,
    ImportedSetting,
)
from clauseway.cli.console import console

_STYLES = {"permitted": "green", "forbidden": "red", "conditional": "yellow", LEFT_OUT: "red"}


def _print_settings(out: Console, title: str, settings: list[ImportedSetting]) -> None:
    if settings:
        out.print(f"\n{title}", style="bold")
    for setting in settings:
        line = f"  {setting.key} ({setting.place}): {setting.says}"
        out.print(line, soft_wrap=True)


def print_drafted(imported: ImportedConfiguration, *, is_imported: bool) -> None:
    out = console()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("asked as", "product", "deployments", "standing"):
        table.add_column(column)
    for model in imported.models:
        table.add_row(
            model.asked_as,
            model.product or "–",
            ", ".join(model.deployments) or "–",
            Text(model.standing, _STYLES.get(model.standing, "")),
        )
    out.print(table)
    for model in imported.models:
        if model.standing != "unstated":
            sentence = (
                f"{model.asked_as} ({model.written}, {model.place}): {model.why} {model.remedy}"
            )
            out.print(sentence.rstrip(), soft_wrap=True)
    if any(model.standing == "unstated" for model in imported.models):
        out.print(
            'What is unstated is served: no agreement in force speaks of it (unstated = "serve").',
            soft_wrap=True,
        )
    for carried, title in ((True, "Carried over"), (False, "Not carried over")):
        settings = [setting for setting in imported.settings if setting.carried is carried]
        _print_settings(out, title, settings)
    # One command to make a key stands there for each seller.
    sellers = [command for command in imported.next if " key create " in command]
    if len(sellers) > 1:
        out.print(
            "\nA customer's key buys from one seller: make one for each."
            + (
                " For one key that buys everything, remove the files below and import again with "
                "--seller PARTY."
                if is_imported
                else ""
            ),
            soft_wrap=True,
        )
    out.print("\nWritten", style="bold")
    for path in imported.files:
        out.print(f"  {path}", soft_wrap=True)
    out.print("\nNext", style="bold")
    if imported.secrets:
        out.print(f"  set {', '.join(imported.secrets)}", soft_wrap=True)
    for command in imported.next:
        out.print(f"  {command}", soft_wrap=True)
