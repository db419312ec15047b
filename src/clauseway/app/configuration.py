"""What an operator writes: the deployments that a gateway may call, as TOML. Secrets come from outside it.

[[deployment]]
name = "openai-direct"
dialect = "openai"                  # openai · azure · bedrock · vertex · oci
url = "https://api.openai.com/v1"
cloud = "azure"                     # the host
seller = "openai"
region = "global"
auth = {kind = "bearer", secret_env = "OPENAI_API_KEY"}
models = {"gpt-5.5" = "gpt-5.5"}    # product = the model's name there

`settings` of a deployment are its dialect's own (see `gateway.clouds`), those of its `auth` its source's own (see
`gateway.credentials`): auth = {kind = "aws", settings = {profile = "prod"}}
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from clauseway.catalog import Catalog
from clauseway.gateway.clouds import CLOUDS
from clauseway.gateway.credentials import KINDS, STATIC, sent_kind
from clauseway.gateway.plan import Auth
from clauseway.values import InvalidInput, Problem

DIALECTS = tuple(CLOUDS)
_KINDS = (*STATIC, *KINDS)
# What a model may answer with at most where nothing is configured: the largest that the catalogued models allow.
_OUTPUT_TOKENS_MAX = 128_000


class AuthWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to authenticate. The secret is named by `secret_env` or `secret_file`; `secret` itself is for sandboxes.
    Kinds that are a source of credentials need none, but may take one (a client's)."""

    kind: str
    secret: str = ""
    secret_env: str = ""
    secret_file: str = ""
    access_key: str = ""
    access_key_env: str = ""
    service: str = ""
    region: str = ""
    session_token_env: str = ""
    settings: Mapping[str, str] = {}


class DeploymentWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One endpoint of a cloud with the models deployed there."""

    name: str
    dialect: str
    url: str
    cloud: str
    seller: str
    region: str
    auth: AuthWritten
    models: Mapping[str, str]
    output_tokens_max: int = _OUTPUT_TOKENS_MAX
    settings: Mapping[str, str] = {}


class Configuration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file. Deployments are tried in the order in which they stand."""

    deployment: tuple[DeploymentWritten, ...] = ()


def read_configuration(path: Path, catalog: Catalog) -> Configuration:
    """Read and check the file. Raises InvalidInput with every problem found."""
    try:
        with path.open("rb") as file:
            written = tomllib.load(file)
        configuration = msgspec.convert(written, Configuration)
    except FileNotFoundError:
        todo = "Write the file, or run `clauseway up` for one over sandbox clouds."
        raise InvalidInput(_problem(path, "there is no configuration", "the file does not exist", todo)) from None
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise InvalidInput(_problem(path, "the configuration cannot be read", str(error), "Mend the file.")) from None
    if problems := _problems(path, configuration, catalog):
        raise InvalidInput(*problems)
    return configuration


def _problem(path: Path, what: str, why: str, todo: str) -> Problem:
    return Problem(what=what, why=why, where=str(path), todo=todo)


def _problems(path: Path, configuration: Configuration, catalog: Catalog) -> list[Problem]:
    problems = []
    names = [deployment.name for deployment in configuration.deployment]
    if not names:
        problems.append(_problem(path, "no deployment", "there is nothing to route to", "Add a [[deployment]]."))
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(_problem(path, f"two deployments {name!r}", "a name is unique", "Rename one of them."))
    for deployment in configuration.deployment:
        known: list[tuple[str, str, frozenset[str] | tuple[str, ...]]] = [
            ("dialect", deployment.dialect, DIALECTS),
            ("cloud", deployment.cloud, catalog.clouds),
            ("seller", deployment.seller, catalog.parties),
            ("kind of auth", deployment.auth.kind, _KINDS),
            *(("product", product, frozenset(catalog.products)) for product in deployment.models),
        ]
        for what, value, allowed in known:
            if value not in allowed:
                todo = f"Write one of: {', '.join(sorted(allowed))}."
                problems.append(
                    _problem(path, f"{deployment.name}: unknown {what} {value!r}", "nothing defines it", todo)
                )
        if not deployment.url.startswith(("http://", "https://")):
            todo = "Write http:// or https:// and the address."
            problems.append(
                _problem(path, f"{deployment.name}: {deployment.url!r} is no address", "it has no scheme", todo)
            )
        problems += _misfits(path, deployment)
    return problems


def _misfits(path: Path, deployment: DeploymentWritten) -> list[Problem]:
    """A kind of credential that the dialect does not take."""
    auth, cloud = deployment.auth, CLOUDS.get(deployment.dialect)
    if cloud is None or auth.kind not in _KINDS:
        return []
    sent = sent_kind(Auth(kind=auth.kind, settings=auth.settings))
    if sent in cloud.takes:
        return []
    todo = f"Use a kind that gives one of: {', '.join(sorted(cloud.takes))}."
    what = f"{deployment.name}: {deployment.dialect} takes no credential of kind {sent!r}"
    return [_problem(path, what, f"that is what auth {auth.kind!r} gives", todo)]


def resolve_auth(deployment: DeploymentWritten, where: Path) -> Auth:
    """The deployment's credentials with their secrets in. Raises InvalidInput where one is missing."""
    written = deployment.auth
    secret = written.secret or _from_environment(written.secret_env, deployment, where) or _from_file(written, where)
    if not secret and written.kind in STATIC and written.kind != "none":
        todo = "Name the secret with secret_env or secret_file."
        raise InvalidInput(_problem(where, f"{deployment.name} has no secret", "nothing names it", todo))
    return Auth(
        kind=written.kind,
        secret=secret,
        access_key=written.access_key or _from_environment(written.access_key_env, deployment, where),
        service=written.service,
        region=written.region,
        session_token=_from_environment(written.session_token_env, deployment, where),
        settings=written.settings,
    )


def _from_environment(name: str, deployment: DeploymentWritten, where: Path) -> str:
    if name and name not in os.environ:
        todo = f"Set {name} before the gateway starts."
        raise InvalidInput(
            _problem(where, f"{deployment.name}: {name} is not set", "its secret is read from there", todo)
        )
    return os.environ.get(name, "") if name else ""


def _from_file(written: AuthWritten, where: Path) -> str:
    if not written.secret_file:
        return ""
    try:
        return Path(written.secret_file).read_text("utf-8").strip()
    except OSError as error:
        problem = _problem(where, f"{written.secret_file} cannot be read", str(error), "Give a readable file.")
        raise InvalidInput(problem) from None
