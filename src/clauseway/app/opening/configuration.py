"""The operator's configuration: the gateway's own settings and the deployments that it may call, as
TOML.

Secrets come from the environment or from files, never from here; a sandbox on this machine is the
one exception. All problems are found at once, each with its line. `clauseway.example.toml`
beside this module shows everything there is.

[[deployment]]
name = "openai-direct"
dialect = "openai"                  # openai · azure · bedrock · vertex · oci · anthropic
url = "https://api.openai.com/v1"
cloud = "azure"                     # the host
seller = "openai"
region = "global"
auth = {kind = "bearer", secret_env = "OPENAI_API_KEY"}
models = {"gpt-5.5" = "gpt-5.5"}    # product = the model's name there

`settings` of a deployment are its dialect's own (see `gateway.clouds`), those of its `auth` its
source's own (see `gateway.credentials`): auth = {kind = "aws", settings = {profile = "prod"}}
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from clauseway.app.opening.offerings import shipped_models, shipped_products
from clauseway.app.opening.toml_file import TomlFile, named, read_file, shown
from clauseway.catalog import SURFACES, Capability, Catalog
from clauseway.files.presence import is_folder
from clauseway.gateway.clouds import DIALECTS
from clauseway.gateway.clouds.dialect import address_of, names_host
from clauseway.gateway.credentials import (
    KINDS,
    STATIC,
    sent_kind,
    settings_read,
    takes_secret,
)
from clauseway.gateway.credentials.outside import ENVIRONMENT, FILE, with_secrets
from clauseway.gateway.plan import Auth
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import (
    PASSED_HEADERS,
    Copying,
    Log,
    Settings,
    Telemetry,
    TlsSettings,
    flaw_of_header,
)
from clauseway.gateway.transport.called_addresses import (
    Called,
    address_flaw,
    host_of,
    metadata_flaw,
)
from clauseway.gateway.transport.metadata_addresses import is_loopback
from clauseway.spool.copies import parse_address, read_secret
from clauseway.values import InvalidInput, Problem, flaw_of_name, is_currency, suggestion
from clauseway.wording.decided import RECORD_PRODUCT

DIALECT_NAMES = tuple(DIALECTS)
_KINDS = (*STATIC, *KINDS)
_CAPABILITIES = tuple(str(capability) for capability in Capability)
# The exporter's library takes headers from these, which hold a collector's keys.
_COLLECTOR_HEADERS = tuple(
    f"OTEL_EXPORTER_OTLP_{kind}HEADERS" for kind in ("", "TRACES_", "METRICS_")
)
# One of their headers, as that library reads it: it leaves any other out.
_COLLECTOR_HEADER = re.compile(
    r"[ \t]*[\w!#$%&'*+.^`|~-]+[ \t]*=[ \t]*[ !#-+\--:<-\[\]-~]*", re.ASCII
)
_COLLECTOR_OFF = "OTEL_SDK_DISABLED"
_COLLECTOR_PROTOCOLS = tuple(
    f"OTEL_EXPORTER_OTLP_{kind}PROTOCOL" for kind in ("", "TRACES_", "METRICS_")
)
_PROTOCOL = "http/protobuf"
_MODEL_CHARACTERS_MAX = 2_048  # the longest are AWS's, of an inference profile
_NAME_BYTES_MAX = 255  # of a file or a folder, on every usual file system
# Keys of [gateway]: a part, and the whole that it is a part of.
_PARTS = (
    ("connections_per_address", "connections"),
    ("connections_per_key", "connections"),
    ("bytes_in_flight_per_key", "bytes_in_flight"),
    ("answer_timeout_s", "deadline_s"),
)
# Settings without effect until another of their section is written. That one may say off: then the
# others rest, and nobody takes them to be in force.
_NEEDS = (
    ("telemetry", "metrics", ("metrics_host", "metrics_port")),
    (
        "telemetry",
        "otlp_endpoint",
        ("plain_http", "service_name", "former_names", "spans", "queue"),
    ),
    ("journal", "copies", ("when_away", "patience_s")),
)
# Why a process cannot listen at a host that is written otherwise, and what to write.
NOT_LISTENED_AT = "it is neither an address nor the name of a host, alone"
LISTEN_AT = "Write 127.0.0.1, ::1 or a name; 0.0.0.0 is every address of this machine."
COMMITMENT_KINDS = ("macc", "edp", "google-commit", "universal-credits", "other")


class AuthWritten(msgspec.Struct, frozen=True, kw_only=True):
    """The authentication of a deployment.

    The secret is named by `secret_env` or `secret_file`; `secret` itself is for sandboxes. Kinds
    that are a source of credentials need none, but may take one (a client's).
    """

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


class DeploymentWritten(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint of a cloud with the models deployed there."""

    name: str
    dialect: str
    url: str
    cloud: str
    seller: str
    region: str
    auth: AuthWritten
    models: Mapping[str, str]
    output_tokens_max: Annotated[
        int, Meta(ge=0, description="Most tokens of an answer; 0 as the catalog says.")
    ] = 0
    settings: Mapping[str, str] = {}
    surface: Annotated[
        str, Meta(description="Which surface of the catalog's matrix it is; empty by its address.")
    ] = ""
    context_tokens_max: Annotated[
        int, Meta(ge=0, description="Most tokens that it holds; 0 as the catalog says.")
    ] = 0
    snapshots: Annotated[
        Mapping[str, str], Meta(description="Product = the dated model behind it, where known.")
    ] = {}
    serves_retired: Annotated[
        bool, Meta(description="It serves models beyond the day of their published retirement.")
    ] = False
    has: Annotated[
        tuple[str, ...], Meta(description="Capabilities that it has, whatever the matrix says.")
    ] = ()
    lacks: Annotated[
        tuple[str, ...], Meta(description="Capabilities that it lacks, whatever the matrix says.")
    ] = ()
    residency: Annotated[
        str, Meta(description="Where data stays, as policies name it: eu, us, …")
    ] = ""
    certifications: Annotated[
        tuple[str, ...], Meta(description="Certifications that policies may ask for.")
    ] = ()
    quota_requests_per_minute: Annotated[
        int, Meta(ge=0, description="The quota of its cloud; 0: no limit.")
    ] = 0
    quota_tokens_per_minute: Annotated[
        int, Meta(ge=0, description="The quota of its cloud; 0: no limit.")
    ] = 0
    provisioned: Annotated[
        bool, Meta(description="Paid for whether it is used or not: filled first.")
    ] = False
    service_tier: Annotated[
        Literal["", "default", "flex", "priority"],
        Meta(
            description=(
                "In which its account serves what asks for none or for auto; empty where that "
                "is not known."
            )
        ),
    ] = ""
    vector_stores: Annotated[
        Mapping[str, tuple[str, ...]],
        Meta(description="Vector stores on its account = the projects that may search them."),
    ] = {}
    plain_http: Annotated[
        bool, Meta(description="Its credential may go over http:// beyond this machine.")
    ] = False


class CommitmentWritten(msgspec.Struct, frozen=True, kw_only=True):
    """An amount that was promised to a cloud: MACC, EDP, a Google commit, Universal Credits.
    Empty `clouds`, `sellers` or `products` mean that any count toward it."""

    name: str
    kind: str
    amount: Annotated[Decimal, Meta(description="The promised amount, in its currency.")]
    begin: date = msgspec.field(name="from")
    end: date = msgspec.field(name="until")
    currency: str = "USD"
    usd_rate: Annotated[
        Decimal, Meta(description="USD for one of its currency, as the contract says.")
    ] = Decimal(1)
    clouds: tuple[str, ...] = ()
    sellers: tuple[str, ...] = ()
    products: tuple[str, ...] = ()


class GatewayWritten(Limits, frozen=True, kw_only=True):
    """Where the gateway listens, how long it waits for clouds, and its limits."""

    host: Annotated[str, Meta(min_length=1, description="Address that the gateway listens on.")] = (
        "127.0.0.1"
    )
    port: Annotated[
        Annotated[int, Meta(ge=0, le=65535)] | None,
        Meta(
            description=(
                "Its port; 0: any free one. Named nowhere: 8400, or the next free one above."
            )
        ),
    ] = None
    attempt_timeout_s: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description=(
                "Of a stream, a cloud sends something within this time, or another one is asked."
            ),
        ),
    ] = 60.0
    answer_timeout_s: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description=(
                "An answer that is no stream is there within this time, or another cloud is asked: "
                "nothing of it comes before its end, and long reasoning or an image takes minutes."
            ),
        ),
    ] = 300.0
    deadline_s: Annotated[
        float,
        Meta(
            gt=0,
            le=86_400,
            description=(
                "Within this time of its arrival a request has its answer, its stream's first content, "
                "or an error. From then on a stream is ended by attempt_timeout_s of silence alone."
            ),
        ),
    ] = 600.0
    passed_headers: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Headers of clients that clouds receive beside tracing and betas. With idempotency-key "
                "clients of one account may get each other's answers: pass it where each has its own."
            )
        ),
    ] = PASSED_HEADERS


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file. Deployments are tried in the order in which they stand."""

    unstated: Annotated[
        Literal["refuse", "serve"],
        Meta(
            description=(
                "The treatment of a sale of which no agreement in force says anything; "
                "what an agreement forbids is refused either way."
            )
        ),
    ] = "refuse"
    agreement: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Agreements in force, where no --agreement names any: folders, or names of those that "
                "ship; empty: the built-in one. A change takes a restart."
            )
        ),
    ] = ()
    names: Annotated[
        Mapping[str, str],
        Meta(description="Other names that clients may ask for = the product that each means."),
    ] = {}
    gateway: GatewayWritten = GatewayWritten()
    tls: TlsSettings = TlsSettings()
    log: Log = Log()
    telemetry: Telemetry = Telemetry()
    journal: Copying = Copying()
    deployment: tuple[DeploymentWritten, ...] = ()
    commitment: tuple[CommitmentWritten, ...] = ()


def example_text() -> str:
    """Return the example that ships: every setting with its default and its reason."""
    return (resources.files("clauseway.app.opening") / "clauseway.example.toml").read_text("utf-8")


def read_configuration(path: Path, catalog: Catalog, *, secrets: bool = True) -> Configuration:
    """Read and check the file.

    Raise InvalidInput with every problem; without `secrets`, secrets read from elsewhere may
    be missing here.
    """
    return checked(read_file(path), catalog, secrets=secrets)


def checked(file: TomlFile, catalog: Catalog, *, secrets: bool = True) -> Configuration:
    """Return a file that was read, as `read_configuration` gives it."""
    configuration = file.read(Configuration)
    if configuration is not None:
        _check(file, configuration, catalog)
        _check_collector(file, configuration.telemetry, secrets=secrets)
        if secrets:
            _check_secrets(file, configuration)
            _check_files(file, configuration)
            _check_copying_secret(file, configuration.journal)
    if file.problems or configuration is None:
        raise InvalidInput(*sorted(file.problems, key=lambda problem: problem.line))
    return configuration


def missing_files(path: Path, configuration: Configuration) -> list[Problem]:
    """Return the problems of certificates and of the log's place, of a configuration that was read
    without secrets."""
    file = read_file(path)
    _check_files(file, configuration)
    return file.problems


def settings_of(configuration: Configuration, where: Path) -> Settings:
    """Return the settings for the gateway's process. Relative paths start at the file's folder."""
    gateway, tls = configuration.gateway, configuration.tls
    limits = Limits(**{name: getattr(gateway, name) for name in Limits.__struct_fields__})
    placed = {
        name: placed_path(getattr(tls, name), where) for name in TlsSettings.__struct_fields__
    }
    log = msgspec.structs.replace(
        configuration.log, file=placed_path(configuration.log.file, where)
    )
    return Settings(
        limits=limits,
        tls=TlsSettings(**placed),
        log=log,
        telemetry=configuration.telemetry,
        journal=msgspec.structs.replace(
            configuration.journal, secret_file=placed_path(configuration.journal.secret_file, where)
        ),
        passed_headers=gateway.passed_headers,
    )


def placed_path(written: str, where: Path) -> str:
    """Return a path as it was meant: from the configuration's folder."""
    return str(where.absolute().parent / Path(written).expanduser()) if written else ""


def _flaw_of_path(written: str) -> str:
    """Return why a text cannot be a path; empty if it can, or where none is written."""
    if not written:
        return ""
    if not written.strip():
        return "it is blank"
    if not written.isprintable():
        return "it holds what cannot be seen"
    if any(len(name.encode()) > _NAME_BYTES_MAX for name in written.split("/")):
        return f"a name in it has more than {_NAME_BYTES_MAX} bytes"
    try:
        Path(written).expanduser()
    except RuntimeError:
        return "this machine has no user of that name"
    return ""


def _can_be_read(written: str, where: Path) -> bool:
    """Return whether a path names a file that can be read. A flaw of the path is reported apart."""
    if not written or _flaw_of_path(written):
        return True
    path = placed_path(written, where)
    return os.path.isfile(path) and os.access(path, os.R_OK)


def _check(file: TomlFile, configuration: Configuration, catalog: Catalog) -> None:
    """Report values that mean nothing."""
    # Names: unique among all deployments, including those with other problems.
    written = file.content.get("deployment", [])
    items = written if isinstance(written, list) else []
    written_names = [item.get("name") if isinstance(item, dict) else None for item in items]
    if not written:
        file.problem((), "no deployment", "there is nothing to route to", "Add a [[deployment]].")
    for index, name in enumerate(written_names):
        if name is not None and name in written_names[:index]:
            file.problem(
                ("deployment", index, "name"),
                f"two deployments {name!r}",
                "a name is unique",
                "Rename one of them.",
            )
    names = [(file.place(deployment), deployment.name) for deployment in configuration.deployment]
    names += [(file.place(commitment), commitment.name) for commitment in configuration.commitment]
    for at, name in names:
        if why := flaw_of_name(name):
            remedy = "Write characters that can be seen, without spaces at the ends."
            file.problem((*at, "name"), f"{name!a} is not a name", why, remedy)
    for index, name in enumerate(configuration.agreement):
        if not name.strip():
            remedy = "Write its folder, or the name of an agreement that ships."
            file.problem(("agreement",), f"agreement names {name!r}", "it is blank", remedy)
        elif name in configuration.agreement[:index]:
            why = "an agreement is in force once"
            file.problem(("agreement",), f"agreement names {name!r} twice", why, "Name it once.")
    # Each part by itself.
    for deployment in configuration.deployment:
        _check_deployment(file, deployment, catalog, configuration.unstated)
    _check_commitments(file, configuration, catalog)
    _check_names(file, configuration)
    _check_vector_stores(file, configuration.deployment)
    for name in configuration.gateway.passed_headers:
        if why := flaw_of_header(name):
            at = ("gateway", "passed_headers")
            file.problem(at, f"{name!a} cannot be passed", why, "Leave it out.")
    _check_listening(file, configuration.gateway, configuration.telemetry)
    _check_paths(file, configuration)
    _check_together(file, configuration)
    _check_tls(file, configuration.tls)
    _check_copying(file, configuration.journal)


def _check_listening(file: TomlFile, gateway: GatewayWritten, telemetry: Telemetry) -> None:
    """Report places at which nothing can listen."""
    places = [(("gateway", "host"), gateway.host)]
    if telemetry.metrics:
        places.append((("telemetry", "metrics_host"), telemetry.metrics_host))
        if gateway.port and gateway.port == telemetry.metrics_port:
            file.problem(
                ("telemetry", "metrics_port"),
                f"telemetry.metrics_port = {telemetry.metrics_port} is the gateway's port",
                "one process at a time can listen at a port",
                "Write another port.",
            )
    for at, host in places:
        if not is_listened_at(host):
            what = f"{'.'.join(at)} = {host!a} cannot be listened at"
            file.problem(at, what, NOT_LISTENED_AT, LISTEN_AT)


def is_listened_at(host: str) -> bool:
    """Return whether a process may listen at what is written, by its form."""
    return names_host(host.lower(), is_bracketed=":" in host)


def _check_paths(file: TomlFile, configuration: Configuration) -> None:
    """Report texts that no file can be named by."""
    tls, journal = configuration.tls, configuration.journal
    paths: list[tuple[tuple[str | int, ...], str]] = [
        *((("tls", name), getattr(tls, name)) for name in TlsSettings.__struct_fields__),
        (("log", "file"), configuration.log.file),
        (("journal", "secret_file"), journal.secret_file),
        *(
            ((*file.place(deployment), "auth", "secret_file"), deployment.auth.secret_file)
            for deployment in configuration.deployment
        ),
    ]
    for at, written in paths:
        if why := _flaw_of_path(written):
            problem = f"{named(at)} = {shown(written)} is not a path"
            file.problem(at, problem, why, "Write the path of a file.")


def _check_together(file: TomlFile, configuration: Configuration) -> None:
    """Report settings that have no effect beside others of the file."""
    for part, whole in _PARTS:
        limit, limit_of_whole = (getattr(configuration.gateway, name) for name in (part, whole))
        # A whole that is written alone is no slip: the part stands at its default.
        both = file.has("gateway", part) and file.has("gateway", whole)
        if both and limit > limit_of_whole:
            file.problem(
                ("gateway", part),
                f"gateway.{part} = {limit} is more than gateway.{whole} = {limit_of_whole}",
                "it would never count",
                f"Write at most {limit_of_whole}, or leave it out.",
            )
    gateway = configuration.gateway
    timeouts_s = (gateway.attempt_timeout_s, gateway.answer_timeout_s)
    if file.has("gateway", "connect_s") and gateway.connect_s > max(timeouts_s):
        file.problem(
            ("gateway", "connect_s"),
            f"gateway.connect_s = {gateway.connect_s} is more than gateway.attempt_timeout_s = "
            f"{timeouts_s[0]} and gateway.answer_timeout_s = {timeouts_s[1]}",
            "it would never count: an attempt that connects is ended by these",
            f"Write at most {max(timeouts_s)}, or leave it out.",
        )
    for section, needed, names in _NEEDS:
        for name in names:
            if file.has(section, name) and not file.has(section, needed):
                file.problem(
                    (section, name),
                    f"{section}.{name} without {section}.{needed}",
                    "it has no effect without it",
                    f"Write {needed} too, if it is to be off as well; or leave {name} out.",
                )


def _products(catalog: Catalog, unstated: str) -> frozenset[str]:
    """Return the products that may be deployed."""
    return frozenset(catalog.products) | (shipped_products() if unstated == "serve" else set())


def _check_names(file: TomlFile, configuration: Configuration) -> None:
    """Report names that mean no deployed product, and those that mean another one already: a slip
    must not get round what an agreement states of a product."""
    deployed = {product for written in configuration.deployment for product in written.models}
    taken = shipped_products() | shipped_models().named(shipped_products()).keys()
    for name, product in configuration.names.items():
        at = ("names", name)
        if product not in deployed:
            remedy = f"Write one of: {', '.join(sorted(deployed))}."
            file.problem(
                at, f"names.{name}: {product!r} is not deployed", "nothing serves it", remedy
            )
        if name in deployed or name in taken:
            file.problem(
                at,
                f"{name!r} is a model's own name",
                "a name means one model",
                "Write another name.",
            )
        elif why := flaw_of_name(name):
            remedy = "Write characters that can be seen, without spaces at the ends."
            file.problem(at, f"{name!a} is not a name", why, remedy)


def _check_vector_stores(file: TomlFile, deployments: Sequence[DeploymentWritten]) -> None:
    """Report a vector store that would lie on two accounts, and projects that no key can have."""
    first: dict[str, str] = {}
    for deployment in deployments:
        at = (*file.place(deployment), "vector_stores")
        for store, projects in deployment.vector_stores.items():
            if first.setdefault(store, deployment.name) != deployment.name:
                file.problem(
                    at,
                    f"{deployment.name}: {store!r} stands at {first[store]} too",
                    "what searches it is sent to the one deployment where it lies",
                    "Name it at one of them.",
                )
            if why := flaw_of_name(store):
                problem = f"{deployment.name}: {store!a} is not a vector store"
                file.problem(at, problem, why, "Write its identifier, as vs_123.")
            for project in projects:
                organisation, _, name = project.partition("/")
                if flaw_of_name(organisation) or flaw_of_name(name):
                    file.problem(
                        at,
                        f"{deployment.name}: {project!a} is not a project",
                        "a project is one of an organisation",
                        "Write organisation/project.",
                    )


def _check_deployment(
    file: TomlFile, deployment: DeploymentWritten, catalog: Catalog, unstated: str
) -> None:
    name, at = deployment.name, file.place(deployment)
    # Names: each of them has to be defined somewhere.
    fields: list[tuple[str, str, str, frozenset[str] | tuple[str, ...]]] = [
        ("dialect", "dialect", deployment.dialect, DIALECT_NAMES),
        ("cloud", "cloud", deployment.cloud, catalog.clouds),
        ("seller", "seller", deployment.seller, catalog.parties),
        ("auth", "kind of auth", deployment.auth.kind, _KINDS),
        *(
            ("models", "product", product, _products(catalog, unstated))
            for product in deployment.models
        ),
        *(
            ("snapshots", "product", product, frozenset(deployment.models))
            for product in deployment.snapshots
        ),
        *(("has", "capability", name, _CAPABILITIES) for name in deployment.has),
        *(("lacks", "capability", name, _CAPABILITIES) for name in deployment.lacks),
        ("surface", "surface", deployment.surface, ("", *SURFACES)),
    ]
    for key, noun, value, allowed in fields:
        if value not in allowed:
            remedy = (
                _naming_remedy(value, allowed)
                if (key, noun) == ("models", "product")
                else f"Write one of: {', '.join(sorted(filter(None, allowed)))}."
            )
            file.problem(
                (*at, key), f"{name}: unknown {noun} {value!r}", "nothing defines it", remedy
            )
    if not deployment.models:
        remedy = 'Write what it serves: models = {"gpt-5.5" = "its name there"}.'
        file.problem((*at, "models"), f"{name}: it has no model", "it would serve nothing", remedy)
    if deployment.region and (why := flaw_of_name(deployment.region)):
        problem = f"{name}: {deployment.region!a} is not a region"
        remedy = "Write the region as its cloud does."
        file.problem((*at, "region"), problem, why, remedy)
    for key, models in (("models", deployment.models), ("snapshots", deployment.snapshots)):
        for product, model in models.items():
            if why := flaw_of_name(model, _MODEL_CHARACTERS_MAX):
                problem = f"{name}: {model!a} is not a model's name"
                file.problem((*at, key), problem, why, f"Write how {product} is called there.")
    # Policies ask for these by name.
    places = (deployment.residency,) if deployment.residency else ()
    for key, asked in (("residency", places), ("certifications", deployment.certifications)):
        for written in asked:
            if why := flaw_of_name(written):
                problem = f"{name}: {key} names {written!a}"
                file.problem((*at, key), problem, why, "Write a name that policies ask for.")
    # Settings that are said twice, or unsafely.
    for both in sorted(set(deployment.has) & set(deployment.lacks)):
        file.problem(
            (*at, "lacks"),
            f"{name}: has and lacks {both}",
            "it cannot be both",
            "Remove one of them.",
        )
    if _check_url(file, (*at, "url"), name, deployment.url):
        _check_reach(file, deployment)
    if deployment.auth.secret and not is_loopback(host_of(deployment.url)):
        remedy = "Name it with secret_env or secret_file."
        file.problem(
            (*at, "auth"),
            f"{name}: a secret in the file",
            "files are copied, shown and kept",
            remedy,
        )
    _check_kind(file, deployment)
    if deployment.dialect in DIALECTS and deployment.auth.kind in _KINDS:
        _check_settings(file, deployment)
        _check_auth_keys(file, deployment)


def _naming_remedy(product: str, known: Iterable[str]) -> str:
    """Return what to do about a product that is not known: there are two ways out."""
    recorded = RECORD_PRODUCT.format(product=product)
    # It ships with us, but the agreement does not have it.
    if product in shipped_products():
        return (
            f"The agreement's text does not know it; record what it is: {recorded}. "
            'Or write unstated = "serve" at the top of the file, and the gateway serves '
            "what no agreement in force names."
        )
    return (
        f"{suggestion(product, known)} A model of another name has to be named first, in an agreement "
        f"(one without terms will do) or as a fact: {recorded}."
    )


def _check_url(file: TomlFile, at: tuple[str | int, ...], whose: str, url: str) -> bool:
    """Return whether an address can be called; report it if not."""
    try:
        address_of(url)
    except ValueError as error:
        file.problem(
            at,
            f"{whose}: {url.rpartition('@')[2]!r} is not an address",
            str(error),
            "Write http:// or https:// and the address.",
        )
        return False
    return True


def _check_reach(file: TomlFile, deployment: DeploymentWritten) -> None:
    """Report an address at which no cloud answers, and a secret that others could read on its way."""
    sent = "" if deployment.auth.kind == "none" else "a credential is"
    called = Called(whose="the cloud", sent=sent, allowed_in="this deployment")
    if flaw := address_flaw(deployment.url, called, plain_http=deployment.plain_http):
        at = (*file.place(deployment), "url")
        file.problem(at, f"{deployment.name}: {flaw.what}", flaw.why, flaw.remedy)


def _check_collector(file: TomlFile, telemetry: Telemetry, *, secrets: bool) -> None:
    """Report an address at which no collector answers, headers that others could read on their way,
    and a name that collectors cannot group by. Headers and switches of the environment are read
    only where its `secrets` are."""
    if why := flaw_of_name(telemetry.service_name):
        problem = f"telemetry.service_name = {telemetry.service_name!a} is not a name"
        remedy = "Write characters that can be seen, without spaces at the ends."
        file.problem(("telemetry", "service_name"), problem, why, remedy)
    disabled = os.environ.get(_COLLECTOR_OFF, "") if secrets and telemetry.otlp_endpoint else ""
    if disabled.strip().lower() == "true":
        file.problem(
            ("telemetry", "otlp_endpoint"),
            f"telemetry.otlp_endpoint with {_COLLECTOR_OFF}={disabled}",
            "the variable of the environment would end the metrics and not the spans",
            f"Unset {_COLLECTOR_OFF}, or leave otlp_endpoint out.",
        )
    if secrets and telemetry.otlp_endpoint:
        _check_collector_headers(file)
        _check_collector_protocol(file)
    sent = ""
    if "@" in telemetry.otlp_endpoint:
        sent = "a credential is"
    elif secrets and any(os.environ.get(name) for name in _COLLECTOR_HEADERS):
        sent = "headers are"
    if telemetry.otlp_endpoint:
        scheme, separator, rest = telemetry.otlp_endpoint.partition("://")
        # It may name a user; a deployment's may not.
        bare = scheme + separator + rest.rpartition("@")[2]
        if not _check_url(file, ("telemetry", "otlp_endpoint"), "telemetry", bare):
            return
    called = Called(whose="the collector", sent=sent, allowed_in="[telemetry]")
    if flaw := address_flaw(telemetry.otlp_endpoint, called, plain_http=telemetry.plain_http):
        file.problem(("telemetry", "otlp_endpoint"), *flaw)


def _check_collector_headers(file: TomlFile) -> None:
    """Report headers of the environment that the exporter's library would leave out in silence. Their
    text is a secret."""
    for variable in _COLLECTOR_HEADERS:
        headers = [header for header in os.environ.get(variable, "").split(",") if header.strip()]
        for number, header in enumerate(headers, 1):
            if _COLLECTOR_HEADER.fullmatch(header) is None:
                file.problem(
                    ("telemetry", "otlp_endpoint"),
                    f"{variable}: header {number} is not NAME=VALUE",
                    "the collector would not get it",
                    "Write NAME=VALUE, a comma before the next; in a value %2C for a comma, %22 for a quote.",
                )


def _check_collector_protocol(file: TomlFile) -> None:
    """Report a protocol of the environment in which nothing would be sent."""
    for variable in _COLLECTOR_PROTOCOLS:
        protocol = os.environ.get(variable, "").strip()
        if protocol not in ("", _PROTOCOL):
            file.problem(
                ("telemetry", "otlp_endpoint"),
                f"telemetry.otlp_endpoint with {variable}={protocol}",
                f"spans and metrics are sent by {_PROTOCOL} alone",
                f"Unset {variable}, and name where the collector takes OTLP over HTTP: mostly port 4318.",
            )


def _check_commitments(file: TomlFile, configuration: Configuration, catalog: Catalog) -> None:
    names: set[str] = set()
    for commitment in configuration.commitment:
        name, at = commitment.name, file.place(commitment)
        # The figures: one name, amounts above zero, an end after the beginning, a rate.
        if name in names:
            file.problem(
                (*at, "name"),
                f"two commitments {name!r}",
                "a name is unique",
                "Rename one of them.",
            )
        names.add(name)
        for key, amount in (("amount", commitment.amount), ("usd_rate", commitment.usd_rate)):
            if not amount.is_finite() or amount <= 0:
                remedy = "Write a number above 0."
                file.problem(
                    (*at, key), f"{name}: {key} = {amount}", "it is more than nothing", remedy
                )
        if commitment.begin >= commitment.end:
            file.problem(
                (*at, "until"),
                f"{name} ends before it begins",
                "`until` is excluded",
                "Write a later day.",
            )
        if not is_currency(commitment.currency):
            file.problem(
                (*at, "currency"),
                f"{name}: unknown currency {commitment.currency!r}",
                "its code has three capital letters",
                "Write EUR, for example.",
            )
        elif commitment.currency != "USD" and commitment.usd_rate == 1:
            remedy = "Write usd_rate = USD for one of its currency, as the contract fixes it."
            file.problem(
                (*at, "currency"),
                f"{name}: {commitment.currency} without a rate",
                "prices are in USD",
                remedy,
            )
        elif commitment.currency == "USD" and commitment.usd_rate != 1:
            file.problem(
                (*at, "usd_rate"),
                f"{name}: usd_rate = {commitment.usd_rate:f} of an amount in USD",
                "one USD is one USD",
                "Leave usd_rate out, or write the currency of the amount.",
            )
        # The scope: names that the agreement defines.
        fields = (
            ("kind", "kind", (commitment.kind,), COMMITMENT_KINDS),
            ("clouds", "cloud", commitment.clouds, catalog.clouds),
            ("sellers", "seller", commitment.sellers, catalog.parties),
            (
                "products",
                "product",
                commitment.products,
                _products(catalog, configuration.unstated),
            ),
        )
        for key, noun, values, allowed in fields:
            for value in sorted(set(values) - set(allowed)):
                remedy = f"Write one of: {', '.join(sorted(allowed))}."
                file.problem(
                    (*at, key), f"{name}: unknown {noun} {value!r}", "nothing defines it", remedy
                )


def _check_secrets(file: TomlFile, configuration: Configuration) -> None:
    """Report secrets of deployments that are named and cannot be had."""
    for deployment in configuration.deployment:
        _check_secret(file, deployment)


def _check_files(file: TomlFile, configuration: Configuration) -> None:
    """Report certificates and a place for the log that are named and cannot be had."""
    for name in TlsSettings.__struct_fields__:
        written = getattr(configuration.tls, name)
        if not _can_be_read(written, file.where):
            file.problem(
                ("tls", name),
                f"{written} cannot be read",
                f"tls.{name} names it",
                "Give a readable file.",
            )
    if configuration.log.file and not _flaw_of_path(configuration.log.file):
        path = Path(placed_path(configuration.log.file, file.where))
        if is_folder(path) or not is_folder(path.parent):
            why = "it is a folder" if is_folder(path) else f"there is no folder {path.parent}"
            problem = f"{configuration.log.file} cannot be written"
            file.problem(("log", "file"), problem, why, "Name a file in a folder that is there.")


def _check_secret(file: TomlFile, deployment: DeploymentWritten) -> None:
    auth, path = deployment.auth, (*file.place(deployment), "auth")
    for variable in filter(None, (auth.secret_env, auth.access_key_env, auth.session_token_env)):
        if not os.environ.get(variable):
            state = "empty" if variable in os.environ else "not set"
            remedy = f"Set {variable} before the gateway starts."
            file.problem(
                path,
                f"{deployment.name}: {variable} is {state}",
                "its secret is read from there",
                remedy,
            )
    if auth.secret_file and not _flaw_of_path(auth.secret_file):
        try:
            is_empty = not Path(placed_path(auth.secret_file, file.where)).read_bytes().strip()
        except OSError:
            problem = f"{deployment.name}: {auth.secret_file} cannot be read"
            file.problem(path, problem, "its secret is read from there", "Give a readable file.")
        else:
            if is_empty:
                problem = f"{deployment.name}: {auth.secret_file} is empty"
                file.problem(path, problem, "its secret is read from there", "Write it there.")
    if (
        auth.kind in STATIC
        and auth.kind != "none"
        and not (auth.secret or auth.secret_env or auth.secret_file)
    ):
        remedy = "Name the secret with secret_env or secret_file."
        file.problem(path, f"{deployment.name} has no secret", "nothing names it", remedy)


def _check_kind(file: TomlFile, deployment: DeploymentWritten) -> None:
    """Report a kind of credential that the dialect does not take."""
    auth, dialect = deployment.auth, DIALECTS.get(deployment.dialect)
    if dialect is None or auth.kind not in _KINDS:
        return
    sent = sent_kind(Auth(kind=auth.kind, settings=auth.settings))
    if sent not in dialect.takes:
        remedy = f"Use a kind that gives one of: {', '.join(sorted(dialect.takes))}."
        problem = f"{deployment.name}: {deployment.dialect} takes no credential of kind {sent!r}"
        file.problem(
            (*file.place(deployment), "auth"),
            problem,
            f"that is what auth {auth.kind!r} gives",
            remedy,
        )


def _check_settings(file: TomlFile, deployment: DeploymentWritten) -> None:
    """Report settings that neither the dialect nor the kind of credential reads."""
    auth, at = deployment.auth, file.place(deployment)
    of_dialect, of_auth = DIALECTS[deployment.dialect].settings, settings_read(auth.kind)
    tables = (
        ((*at, "settings"), deployment.dialect, deployment.settings, of_dialect, of_auth, "auth"),
        (
            (*at, "auth", "settings"),
            f"auth {auth.kind!r}",
            auth.settings,
            of_auth,
            of_dialect,
            "the deployment",
        ),
    )
    for place, owner, settings, read, read_elsewhere, elsewhere in tables:
        for name in sorted(settings.keys() - read):
            remedy = suggestion(name, read, "" if read else "It has no settings: leave it out.")
            if name in read_elsewhere:
                remedy = f"Write it among the settings of {elsewhere}."
            problem = f"{deployment.name}: {owner} has no setting {name!r}"
            file.problem((*place, name), problem, "nothing reads it", remedy)


def _check_auth_keys(file: TomlFile, deployment: DeploymentWritten) -> None:
    """Report keys of `auth` that this kind of credential does not read, and a value that is named
    twice, of which the gateway would take one."""
    auth, at = deployment.auth, (*file.place(deployment), "auth")
    signs_for_aws = auth.kind == "sigv4"
    groups = (
        (("secret", "secret_env", "secret_file"), takes_secret(auth.kind)),
        (("access_key", "access_key_env"), signs_for_aws),
        (("session_token_env",), signs_for_aws),
        # Of Bedrock, `service` tells the surface too, whatever is sent.
        (("service",), deployment.dialect == "bedrock"),
        (("region",), deployment.dialect == "bedrock"),
    )
    for names, is_read in groups:
        written = [name for name in names if getattr(auth, name)]
        if written and not is_read:
            problem = f"{deployment.name}: auth {auth.kind!r} takes no {written[0]}"
            file.problem((*at, written[0]), problem, "nothing reads it", "Leave it out.")
        elif len(written) > 1:
            problem = f"{deployment.name}: {' and '.join(written)}"
            why = "each names the same value, and one of them would be ignored"
            file.problem((*at, written[1]), problem, why, "Keep one of them.")


def _check_tls(file: TomlFile, tls: TlsSettings) -> None:
    if bool(tls.certificate) != bool(tls.key):
        missing = "key" if tls.certificate else "certificate"
        file.problem(
            ("tls",),
            f"tls.{missing} is missing",
            "one is nothing without the other",
            f"Write {missing} = ….",
        )
    if tls.client_ca and not tls.certificate:
        remedy = "Write certificate and key too."
        file.problem(
            ("tls", "client_ca"),
            "clients' certificates without our own",
            "there is no TLS to show them",
            remedy,
        )


def _check_copying(file: TomlFile, journal: Copying) -> None:
    """Report a copy that nobody takes, and a follower that gets none."""
    if not journal.copies:
        if journal.follower or journal.secret_file:
            why, remedy = (
                "no copy is made without it",
                "Write copies = 1, or leave the follower out.",
            )
            file.problem(("journal",), "a follower, and copies is 0", why, remedy)
        return
    try:
        host, _ = parse_address(journal.follower)
    except ValueError as error:
        remedy = 'Write the address of `clauseway journal follow`: follower = "10.0.0.7:8410".'
        problem = f"{journal.follower!r} is no address of a follower"
        file.problem(("journal", "follower"), problem, str(error), remedy)
    else:
        if flaw := metadata_flaw(host, "`clauseway journal follow`"):
            file.problem(("journal", "follower"), *flaw)
    if not journal.secret_file:
        why = "a follower takes journals from those alone who know its secret"
        remedy = "Make one (openssl rand -hex 32 > follower.secret) and write secret_file = …."
        file.problem(("journal",), "journal.secret_file is missing", why, remedy)


def _check_copying_secret(file: TomlFile, journal: Copying) -> None:
    """Report a secret of the follower that is not there."""
    if not (journal.copies and journal.secret_file) or _flaw_of_path(journal.secret_file):
        return
    try:
        read_secret(Path(placed_path(journal.secret_file, file.where)))
    except ValueError as error:
        remedy = "Make one: openssl rand -hex 32 > follower.secret, and give both sides the same."
        problem = f"{journal.secret_file} holds no secret"
        file.problem(("journal", "secret_file"), problem, str(error), remedy)


def named_auth(deployment: DeploymentWritten, where: Path) -> Auth:
    """Return the deployment's credentials as a plan has them: secrets that stand elsewhere are
    named, and the gateway takes them from there."""
    written = deployment.auth
    if written.secret_file and written.kind in ("bearer", "api-key"):
        # The gateway reads it again whenever it changes.
        path = placed_path(written.secret_file, where)
        return Auth(kind="file", settings={"path": path, "sends": written.kind})
    taken: dict[str, str] = {}
    for member, variable in (
        ("secret", written.secret_env if not written.secret else ""),
        ("access_key", written.access_key_env if not written.access_key else ""),
        ("session_token", written.session_token_env),
    ):
        if variable:
            taken[member] = ENVIRONMENT + variable
    if written.secret_file and not written.secret and "secret" not in taken:
        taken["secret"] = FILE + placed_path(written.secret_file, where)
    return Auth(
        kind=written.kind,
        secret=written.secret,
        access_key=written.access_key,
        service=written.service,
        region=written.region,
        settings=written.settings,
        taken=taken,
    )


def resolve_auth(deployment: DeploymentWritten, where: Path) -> Auth:
    """Return the deployment's credentials with their secrets in.

    Raise InvalidInput where one is missing.
    """
    written = deployment.auth
    for variable in (written.secret_env, written.access_key_env, written.session_token_env):
        _check_environment(variable, deployment, where)
    auth = with_secrets(named_auth(deployment, where), str(where))
    if not auth.secret and written.kind in STATIC and auth.kind != "file" and auth.kind != "none":
        remedy = "Name the secret with secret_env or secret_file."
        raise InvalidInput.of(
            what=f"{deployment.name} has no secret",
            why="nothing names it",
            where=str(where),
            remedy=remedy,
        )
    return auth


def _check_environment(name: str, deployment: DeploymentWritten, where: Path) -> None:
    if name and name not in os.environ:
        raise InvalidInput.of(
            what=f"{deployment.name}: {name} is not set",
            why="its secret is read from there",
            where=str(where),
            remedy=f"Set {name} before the gateway starts.",
        )
