"""Private keys of parties (Ed25519), in a folder of the home, and signatures by them.

A private key is written for its owner alone, under $CLAUSEWAY_KEYS, else in `keys` of the home.
Before, keys lay in clauseway/keys of the user's configuration; they are still found there. The
public keys that a home vouches for are in `trusted_keys`, which needs no library of signatures.
"""

import base64
import binascii
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from clauseway.app.books.curve_points import point_fault
from clauseway.app.books.trusted_keys import raw_key, trust_key, trusted_keys
from clauseway.app.opening.home import Home, folder_in
from clauseway.files import force_file, force_folder
from clauseway.files.presence import is_there
from clauseway.values import InvalidInput

VARIABLE = "CLAUSEWAY_KEYS"
_RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw


def keys_folder(home: Home) -> Path:
    """Return the folder that holds private keys."""
    named = folder_in(VARIABLE)
    return Path(named).expanduser() if named else home.keys


def older_key_file(home: Home, party: str) -> Path | None:
    """Return the file of a private key that lies where keys lay before, if the party has none in
    the home and no folder is named."""
    configured = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    older = Path(f"{configured}/clauseway/keys/{party}.key").expanduser()
    is_needed = not os.environ.get(VARIABLE) and not is_there(_private_path(home, party))
    return older if is_needed and is_there(older) else None


def create_key(home: Home, party: str) -> tuple[Path, str]:
    """Create a key of a party, trusted by the home.

    Return the private key's file, and the public key (base64).

    Raise InvalidInput where the party has a private key here already: it is never overwritten. A
    key in the older place is one of this home where the home trusts it.
    """
    path, older = _private_path(home, party), older_key_file(home, party)
    if older and public_of(_loaded_private(party, older)) in trusted_keys(home).get(party, ()):
        raise _has_a_key(
            party, older, f"Sign with it, and move it into the home: mv {older} {path}."
        )
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        home.make()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # O_EXCL: two commands at once never write over each other's key; 0600 holds from the first
        # byte.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        remedy = (
            f"Sign with it; or, where it was withdrawn, move it away: mv {path} {path}.withdrawn"
        )
        raise _has_a_key(party, path, remedy) from None
    except OSError as error:
        remedy = f"Name another folder with {VARIABLE}."
        raise InvalidInput.of(
            what="the key cannot be kept",
            why=error.strerror or str(error),
            where=str(path),
            remedy=remedy,
        ) from None
    public = _base64(key.public_key())
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
        force_file(path)
        force_folder(path.parent)
        # Trusted only once the private key is on the disk: nobody could sign with it otherwise.
        trust_key(home, party, public)
    except BaseException:
        # Neither whoever may not write the home's trust nor a full disk leaves a key behind: the
        # command can be repeated.
        path.unlink()
        raise
    return path, public


def private_key(home: Home, party: str, path: Path | None = None) -> Ed25519PrivateKey:
    """Return a party's private key, of the named file, else of the folder or the older place.

    Raise InvalidInput, also where others may read a key that lies where Clauseway keeps it.
    """
    if path is not None:
        return _loaded_private(party, path)
    path = older_key_file(home, party) or _private_path(home, party)
    if is_there(path) and path.stat().st_mode & 0o077:
        why, remedy = "others than its owner may read it", f"Make it yours alone: chmod 600 {path}."
        raise InvalidInput.of(what=f"no key of {party}", why=why, where=str(path), remedy=remedy)
    return _loaded_private(party, path)


def _loaded_private(party: str, path: Path) -> Ed25519PrivateKey:
    remedy = f"Make one with clauseway party key create --party {party}, or name its file with --private-key."
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    # The library raises TypeError for an encrypted key, since no password is given.
    except (OSError, ValueError, TypeError) as error:
        why = (
            error.strerror if isinstance(error, OSError) else ""
        ) or "it is not a private key in PEM"
        raise InvalidInput.of(
            what=f"no key of {party}", why=why, where=str(path), remedy=remedy
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidInput.of(
            what=f"no key of {party}", why="it is not Ed25519", where=str(path), remedy=remedy
        )
    return key


def _has_a_key(party: str, path: Path, remedy: str) -> InvalidInput:
    why = "a private key is never overwritten"
    return InvalidInput.of(what=f"{party} has a key", why=why, where=str(path), remedy=remedy)


def public_of(key: Ed25519PrivateKey) -> str:
    """Return the public key that belongs to a private one, in base64."""
    return _base64(key.public_key())


def is_signed(public: str, signature: str, content: bytes) -> bool:
    """Return whether a signature (base64) over these bytes is by the owner of a public key.

    A key that anybody can sign for has no owner, though an older home may trust it.
    """
    try:
        raw = raw_key(public)
        if point_fault(raw):
            return False
        key = Ed25519PublicKey.from_public_bytes(raw)
        key.verify(base64.b64decode(signature, validate=True), content)
    except (InvalidInput, InvalidSignature, binascii.Error):
        return False
    return True


def _private_path(home: Home, party: str) -> Path:
    return keys_folder(home) / f"{party}.key"


def _base64(key: Ed25519PublicKey) -> str:
    return base64.b64encode(key.public_bytes(*_RAW)).decode()
