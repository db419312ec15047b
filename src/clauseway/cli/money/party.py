"""`clauseway party`: the parties' keys."""

from importlib import import_module
from typing import Annotated

import typer

from clauseway.app.books.trusted_keys import (
    fingerprint,
    trust_key,
    trusted_keys,
    withdraw_key,
    withdrawal_text,
    withdrawals,
)
from clauseway.app.opening.home import home_at
from clauseway.app.opening.several import check_party, open_agreements
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console

# Needs the library of signatures. Public keys need none: one that leaked is withdrawn without it.
_PRIVATE_KEYS = "clauseway.app.books.party_keys"

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
key = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
app.add_typer(key, name="key", help="Keys that statements are signed with (Ed25519).")

_Party = Annotated[str, typer.Option("--party", help="Whose key it is.")]


@app.callback()
def _party() -> None:
    """The parties to the agreement: the keys that they sign statements with."""


@key.callback()
def _key() -> None:
    """Keys that statements are signed with (Ed25519).

    Private keys lie in $CLAUSEWAY_KEYS, else in the home, in keys, readable by their owner alone.
    The home also keeps the public keys that it trusts.
    """


@key.command()
def create(
    party: _Party,
    agreement: options.AgreementFolders = None,
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Make a party's key, and trust it here. The public key is printed: hand it to the other party.

    \b
    For ourselves:
      clauseway party key create --party openai
    """
    check_party(party, open_agreements(agreement or []))
    path, public = import_module(_PRIVATE_KEYS).create_key(home_at(home), party)
    text = f"private key  {path}\npublic key   {public}\nfingerprint  {fingerprint(public)}"
    answer(as_json, {"party": party, "private_key": str(path), "public_key": public}, text)
    return 0


@key.command()
def trust(
    party: _Party,
    public: Annotated[
        str, typer.Option("--public-key", help="The public key, in base64.", metavar="BASE64")
    ],
    agreement: options.AgreementFolders = None,
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Trust another party's public key, once you know that it is theirs.

    \b
    As they told it:
      clauseway party key trust --party microsoft --public-key BASE64
    """
    check_party(party, open_agreements(agreement or []))
    new = trust_key(home_at(home), party, public)
    text = f"{party}: {fingerprint(public)} {'trusted' if new else 'trusted already'}"
    answer(as_json, {"party": party, "public_key": public, "new": new}, text)
    return 0


@key.command()
def withdraw(
    party: _Party,
    named: Annotated[
        str,
        typer.Argument(
            metavar="KEY", help="The public key or its fingerprint, or the beginning of one."
        ),
    ],
    why: Annotated[str, typer.Option("--why", help="Why, in a sentence.")],
    agreement: options.AgreementFolders = None,
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Trust a party's key no longer, for instance a key that leaked. No signature by it counts any more.

    A thief of the key can sign with any date. So everything that was signed with it has to be signed
    anew: `statement verify` tells each, with who withdrew the key, when and why.

    \b
    As `clauseway party key list` shows it:
      clauseway party key withdraw SHA256:… --party microsoft --why "the laptop was stolen"
    """
    check_party(party, open_agreements(agreement or []))
    ended = withdraw_key(home_at(home), party, named, why)
    text = f"{party}: {ended.fingerprint} was {withdrawal_text(ended)}"
    answer(
        as_json,
        {"party": party, "public_key": ended.public, "withdrawn": withdrawal_text(ended)},
        text,
    )
    return 0


@key.command("list")
def list_(home: options.HomeRead = None, as_json: options.AsJson = False) -> int:
    """List the public keys that are trusted here.

    \b
    All of them:
      clauseway party key list
    """
    trusted, ended_keys = trusted_keys(home_at(home)), withdrawals(home_at(home)).values()

    def show() -> None:
        if not trusted and not ended_keys:
            console().print("No party's key is trusted here.")
        for party, keys in sorted(trusted.items()):
            for public in keys:
                console().print(f"{party}  {public}  {fingerprint(public)}", soft_wrap=True)
        for ended in ended_keys:
            text = f"{ended.party}  {ended.public}  {ended.fingerprint}  {withdrawal_text(ended)}"
            console().print(text, soft_wrap=True, style="red")

    answer(as_json, trusted, show)
    return 0
