"""Settings of a gateway process, beside its deployments. They come with the plan.

All of them may change with a new plan, except those in `NEEDS_RESTART`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from clauseway.gateway.plan.limits import Limits


class TlsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Certificates, as paths of PEM files; they are read again when they change. Empty: none.

    With `client_ca`, clients show a certificate that it signed. `upstream_ca` replaces the system's
    authorities for calls to clouds.
    """

    certificate: Annotated[
        str, Meta(description="Ours, with its chain; with it the gateway speaks TLS only.")
    ] = ""
    key: Annotated[
        str, Meta(description="The certificate's private key, without a passphrase.")
    ] = ""
    client_ca: Annotated[
        str, Meta(description="Who signs clients' certificates; with it every client shows one.")
    ] = ""
    upstream_ca: Annotated[
        str, Meta(description="Who signs clouds' certificates; empty: the system's list.")
    ] = ""


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """Events as lines, and one line for some or all requests."""

    form: Annotated[
        Literal["auto", "json", "text"],
        Meta(description="auto: text on a terminal, JSON elsewhere."),
    ] = "auto"
    file: Annotated[str, Meta(description="Where lines are appended; empty: standard error.")] = ""
    access: Annotated[
        float,
        Meta(
            ge=0.0,
            le=1.0,
            description="Of how many requests a line is written: 0 none, 1 all, 0.01 a sample.",
        ),
    ] = 0.0
    queue: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000_000,
            description="Lines that wait for the disk, some 300 bytes each; more are dropped.",
        ),
    ] = 10_000


class Telemetry(msgspec.Struct, frozen=True, kw_only=True):
    """Figures and spans for other systems. No library is loaded for those that are off."""

    metrics: Annotated[bool, Meta(description="Answer GET /metrics, for Prometheus.")] = False
    metrics_host: Annotated[
        str, Meta(description="Where; this machine only, unless said otherwise.")
    ] = "127.0.0.1"
    metrics_port: Annotated[
        int, Meta(ge=0, le=65535, description="Its port, never the tenants'.")
    ] = 9464
    otlp_endpoint: Annotated[
        str,
        Meta(
            description="Root of a collector (OTLP over HTTP), as http://127.0.0.1:4318; empty: none."
        ),
    ] = ""
    plain_http: Annotated[
        bool, Meta(description="Headers for it may go over http:// beyond this machine.")
    ] = False
    service_name: Annotated[
        str, Meta(min_length=1, description="How this gateway is named there.")
    ] = "clauseway"
    former_names: Annotated[
        bool,
        Meta(
            description="Give spans and metrics the conventions' former names too, as gen_ai.system."
        ),
    ] = True
    spans: Annotated[
        float,
        Meta(ge=0.0, le=1.0, description="Of how many requests spans are made; metrics count all."),
    ] = 1.0
    queue: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Requests that wait to be exported; more are dropped and counted.",
        ),
    ] = 10_000


class Copying(msgspec.Struct, frozen=True, kw_only=True):
    """The copy of the usage journal on another machine."""

    copies: Annotated[
        Literal[0, 1],
        Meta(description="1: an answer ends when its usage is on the follower's disk, too."),
    ] = 0
    follower: Annotated[
        str, Meta(description="HOST:PORT of `clauseway journal follow` on the other machine.")
    ] = ""
    secret_file: Annotated[
        str, Meta(description="A file with the secret that both know, of 32 characters or more.")
    ] = ""
    when_away: Annotated[
        Literal["refuse", "alone"],
        Meta(
            description=(
                "Without the follower: refuse requests, or go on with one copy, as `spool list` shows."
            )
        ),
    ] = "refuse"
    patience_s: Annotated[
        float,
        Meta(
            ge=0.05,
            le=60.0,
            description="How long answers wait for a follower that does not answer, until it is away.",
        ),
    ] = 2.0


PASSED_HEADERS = ("openai-safety-identifier",)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
# Headers that say who we are to a cloud, that frame a message or take the place of its method, or
# that let an answer come in a form which cannot be read and metered: encoded, in part (206), or not
# at all (304). Oracle signs `date` and `x-content-sha256`: it refuses a request that has two.
_KEPT_HERE = (
    *("api-key", "authorization", "cookie", "openai-organization", "openai-project", "x-api-key"),
    *("connection", "content-length", "content-type", "expect", "host", "keep-alive", "te"),
    *("trailer", "transfer-encoding", "upgrade", "accept-encoding", "content-encoding", "range"),
    *("date", "x-date", "x-content-sha256", "ocp-apim-subscription-key", "x-http-method-override"),
)
_KEPT_PREFIXES = ("x-amz-", "x-goog-", "x-ms-", "opc-", "proxy-", "x-clauseway-", "if-")


def flaw_of_header(name: str) -> str:
    """Return why a header cannot be among those that are passed; empty where it can."""
    lower = name.lower()
    if not _HEADER_NAME.fullmatch(name):
        return "a header's name has letters, digits and hyphens"
    if lower in _KEPT_HERE or lower.startswith(_KEPT_PREFIXES):
        return "it says who asks the cloud, or how a message is sent: that is the gateway's to say"
    return ""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    limits: Limits = Limits()
    tls: TlsSettings = TlsSettings()
    log: Log = Log()
    telemetry: Telemetry = Telemetry()
    journal: Copying = Copying()
    # Headers of clients that clouds receive, beside those that always pass.
    passed_headers: tuple[str, ...] = PASSED_HEADERS


# Settings that a running process keeps although a new plan says otherwise: they need a restart.
NEEDS_RESTART: Mapping[str, tuple[str, ...]] = {
    "log": ("form", "file", "queue"),
    "telemetry": (
        "metrics",
        "metrics_host",
        "metrics_port",
        "otlp_endpoint",
        "service_name",
        "former_names",
        "queue",
    ),
    "journal": ("copies", "follower", "secret_file", "when_away", "patience_s"),
}


def changed_needing_restart(in_force: Settings, after: Settings) -> list[str]:
    """Return the settings in which `after` differs from those that a process was started with, and
    that need a restart, as `section.key`."""
    changed = [
        f"{section}.{name}"
        for section, names in NEEDS_RESTART.items()
        for name in names
        if getattr(getattr(in_force, section), name) != getattr(getattr(after, section), name)
    ]
    # A changed certificate is reloaded; whether there is one at all is not.
    changed += [
        f"tls.{name}"
        for name in ("certificate", "client_ca")
        if bool(getattr(in_force.tls, name)) != bool(getattr(after.tls, name))
    ]
    return changed
