"""A user's key of OCI, or a session's token, from the vendor's configuration file
(`settings["config_file"]`, else OCI_CONFIG_FILE, else ~/.oci/config; `settings["profile"]`, else
DEFAULT)."""

import os
from configparser import ConfigParser, SectionProxy
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from clauseway.gateway.clouds.dialect import Credential
from clauseway.gateway.credentials.jwt import expiry_s
from clauseway.gateway.plan import Auth

_FILE, _PROFILE = "~/.oci/config", "DEFAULT"
_SESSION_RECHECK_S = 30.0  # `oci session refresh` writes a new token into the same file


class _User:
    recheck_s = _SESSION_RECHECK_S

    def __init__(self, auth: Auth) -> None:
        self._file = auth.settings.get("config_file") or os.environ.get("OCI_CONFIG_FILE") or _FILE
        self._profile = auth.settings.get("profile") or _PROFILE

    def fetch(self) -> Credential:
        path = Path(self._file).expanduser()
        # A passphrase may hold `%`, which the parser would take for a reference.
        parser = ConfigParser(interpolation=None)
        if not parser.read(path, "utf-8"):
            raise FileNotFoundError(f"{path} does not exist or cannot be read")
        # ConfigParser keeps DEFAULT apart: `has_section` does not know it.
        if self._profile != _PROFILE and not parser.has_section(self._profile):
            raise LookupError(f"{path} has no profile {self._profile}")
        entries = parser[self._profile]
        key = _key(
            entries.get("key_content") or _text(_entry(entries, "key_file", path)),
            entries.get("pass_phrase"),
        )
        # A session (`oci session authenticate`): its token stands in for the user's key id.
        if entries.get("security_token_file"):
            token = _text(entries["security_token_file"]).strip()
            return Credential(
                kind="signature", secret=key, key_id=f"ST${token}", expires_s=expiry_s(token)
            )
        # OCI's key id for signed requests: tenancy/user/fingerprint.
        names = ("tenancy", "user", "fingerprint")
        return Credential(
            kind="signature",
            secret=key,
            key_id="/".join(_entry(entries, name, path) for name in names),
        )


def _entry(entries: SectionProxy, name: str, path: Path) -> str:
    value = entries.get(name)
    if not value:
        raise LookupError(f"{path} names no {name}")
    return value


def _text(file: str) -> str:
    return Path(file).expanduser().read_text("utf-8")


def _key(pem: str, pass_phrase: str | None) -> str:
    """The key in the clear, as it is signed with. Some files have a line of text after it, for the
    vendor's checks."""
    if not pass_phrase:
        return pem
    key = load_pem_private_key(pem.encode(), pass_phrase.encode())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


source = _User
