"""Sources of credentials: the protocol, and the one table that says which kinds there are and what
each needs."""

import re
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple, Protocol

from clauseway.gateway.clouds.dialect import Credential, credential_in
from clauseway.gateway.plan import Auth
from clauseway.values import InvalidInput, Problem, refuse_any

# Kinds whose secret the Auth itself holds.
STATIC = ("bearer", "api-key", "sigv4", "signature", "none")
_WHY_CHARACTERS_MAX = 400  # a vendor may answer a page; its first words suffice
# Matches keys and tokens that a vendor's message quotes.
_SECRETS = re.compile(
    r"-----BEGIN [^-]+-----.*|eyJ[\w-]+\.[\w-]+\.[\w-]*|(?<=client_assertion=)\S+", re.DOTALL
)


class CredentialSource(Protocol):
    """Where a credential comes from. `fetch` blocks, may take long, and raises whatever its
    vendor's library raises.

    `recheck_s` is how often to ask again although nothing has ended; 0 for never.
    """

    recheck_s: float

    def fetch(self) -> Credential: ...


class CredentialSourceKind(NamedTuple):
    """A kind of source. `module` in this package has `source(auth)`; `libraries` are what it
    imports, `extra` brings them. `sends` is the kind of credential that it gives; `remedy` what to
    look at where it gives none. `settings` are the names of those that it reads; `takes_secret`: it
    reads the secret of an Auth too."""

    module: str
    libraries: tuple[str, ...]
    extra: str
    sends: str
    remedy: str
    settings: frozenset[str] = frozenset()
    takes_secret: bool = False


KINDS: Mapping[str, CredentialSourceKind] = {
    "entra": CredentialSourceKind(
        "entra",
        ("azure.identity",),
        "azure",
        "bearer",
        "Check tenant_id, client_id and the secret, the identity of this machine, or run `az login`.",
        settings=frozenset({"tenant_id", "client_id", "token_file", "scope", "authority"}),
        takes_secret=True,
    ),
    "aws": CredentialSourceKind(
        "aws",
        ("botocore",),
        "aws",
        "sigv4",
        "Check the profile, AWS_ACCESS_KEY_ID, the role of this machine, or run `aws sso login`.",
        settings=frozenset({"profile"}),
    ),
    "google": CredentialSourceKind(
        "google",
        ("google.auth", "requests"),
        "google",
        "bearer",
        "Check GOOGLE_APPLICATION_CREDENTIALS or credentials_file, or run `gcloud auth application-default login`.",
        settings=frozenset({"credentials_file"}),
    ),
    "oci-user": CredentialSourceKind(
        "oci_user",
        ("cryptography",),
        "oracle",
        "signature",
        "Check the profile in ~/.oci/config, its key_file and pass_phrase, or run `oci session authenticate`.",
        settings=frozenset({"config_file", "profile"}),
    ),
    "oci-instance": CredentialSourceKind(
        "oci_principals",
        ("oci",),
        "oracle-principals",
        "signature",
        "Use this kind on an instance of OCI only, and put it into a dynamic group.",
        settings=frozenset({"federation_endpoint"}),
    ),
    "oci-resource": CredentialSourceKind(
        "oci_principals",
        ("oci",),
        "oracle-principals",
        "signature",
        "Use this kind in a resource of OCI only: OCI_RESOURCE_PRINCIPAL_VERSION is set there.",
    ),
    "file": CredentialSourceKind(
        "secret_file",
        (),
        "",
        "",
        "Put the secret into the file that `path` names, readable to the gateway.",
        settings=frozenset({"path", "sends"}),
    ),
}


def sent_kind(auth: Auth) -> str:
    """The kind of credential that goes to the cloud. Raises KeyError where `auth.kind` is no
    kind."""
    if auth.kind in STATIC:
        return auth.kind
    return KINDS[auth.kind].sends or auth.settings.get("sends", "bearer")


def settings_read(kind: str) -> frozenset[str]:
    """Return the names of the settings that a kind of auth reads."""
    if kind in STATIC:
        return frozenset({"key_id"}) if kind == "signature" else frozenset()
    return KINDS[kind].settings


def takes_secret(kind: str) -> bool:
    """Return whether a kind of auth reads a secret of its own."""
    return kind != "none" if kind in STATIC else KINDS[kind].takes_secret


def problems_of(auth: Auth) -> list[Problem]:
    """Return the problems that keep an Auth from being tried: an unknown kind, a library that is
    not installed."""
    if auth.kind in STATIC:
        return []
    kind = KINDS.get(auth.kind)
    if kind is None:
        return [
            Problem(
                what=f"unknown kind of auth {auth.kind!r}",
                why="nothing gives such a credential",
                where="auth.kind",
                remedy=f"Write one of: {', '.join((*STATIC, *KINDS))}.",
            )
        ]
    return [
        Problem(
            what=f"credentials of kind {auth.kind} cannot be had",
            why=f"{library} is not installed",
            where="auth.kind",
            remedy=f"Install it: pip install 'clauseway[{kind.extra}]'.",
        )
        for library in _missing_libraries(kind)
    ]


def missing_extra(kind: str) -> str:
    """Return the extra that brings the libraries of a kind of credential; empty where none is
    missing."""
    needs = KINDS.get(kind)
    return needs.extra if needs is not None and _missing_libraries(needs) else ""


def open_credential_source(auth: Auth) -> CredentialSource:
    """Return the source that an Auth names which holds no credential itself. Raises InvalidInput
    where there is none, or its settings are none."""
    refuse_any(problems_of(auth))
    source: CredentialSource = import_module(f"{__package__}.{KINDS[auth.kind].module}").source(
        auth
    )
    return source


def fetch(auth: Auth) -> Credential:
    """The credential, now. Blocks. Raises InvalidInput where it cannot be had."""
    if auth.kind in STATIC:
        return credential_in(auth)
    try:
        return open_credential_source(auth).fetch()
    except InvalidInput:
        raise
    except Exception as error:  # the vendors' libraries raise what they like
        raise InvalidInput(failure(auth, error)) from None


def failure(auth: Auth, error: Exception) -> Problem:
    """A source's failure as a problem, without the secrets that the Auth holds."""
    if isinstance(error, InvalidInput):
        return error.problems[0]
    message = getattr(error, "message", None)
    said = _SECRETS.sub("…", " ".join(str(message or error).split())) or "it says no more"
    for secret in (auth.secret, auth.session_token, auth.settings.get("pass_phrase", "")):
        said = said.replace(secret, "…") if secret else said
    kind = KINDS.get(auth.kind)
    return Problem(
        what=f"no credential of kind {auth.kind}",
        why=f"{type(error).__name__}: {said[:_WHY_CHARACTERS_MAX]}",
        where="auth",
        remedy=kind.remedy if kind else "Check the secret.",
    )


def _missing_libraries(kind: CredentialSourceKind) -> list[str]:
    return [library for library in kind.libraries if not _is_installed(library)]


def _is_installed(library: str) -> bool:
    try:
        return find_spec(library) is not None
    except ModuleNotFoundError:  # not even the package that it lies in
        return False
