"""`make live`: the doctor's checks and one real request to each real account that the environment names.

It costs a few tokens per account. Without an account it says what to set, and that is no failure.
"""

import http.client
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from clauseway.app.opening.configuration import Configuration, DeploymentWritten, read_configuration, resolve_auth
from clauseway.app.opening.prices import shipped_books
from clauseway.app.opening.probing import answer_to, connected
from clauseway.app.opening.several import open_agreements
from clauseway.app.running.doctor import Check, Patient, examine, target_of
from clauseway.gateway.clouds import DIALECTS, Call
from clauseway.gateway.clouds.dialect import CHAT_COMPLETIONS
from clauseway.gateway.clouds.reports import chat_report_in, responses_report_in
from clauseway.gateway.credentials import fetch
from clauseway.gateway.plan.settings import TlsSettings
from clauseway.pricing import PriceTable
from clauseway.values import InvalidInput, KnownAt

FAILED = 1
# Prices and permission are no business of an account.
OF_THE_ACCOUNT = ("configuration", "credential", "settings", "address", "answer", "clock")
PRODUCT, TOKENS_MAX = "gpt-5.5", 32
RESPONSES = Call(b"POST", b"/responses", b"application/json")


class Account(NamedTuple):
    """A way to a cloud. `needs` are the variables that must be set; `{NAME}` and `{NAME|default}` stand for others."""

    name: str
    needs: tuple[str, ...]
    cloud: str
    region: str
    dialect: str
    url: str
    model: str
    auth: str
    settings: str = "{}"


_AZURE, _BEDROCK = ("AZURE_OPENAI_ENDPOINT", "LIVE_AZURE_DEPLOYMENT"), ("LIVE_AWS_REGION",)
_VERTEX = ("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION")
_VERTEX_HOST = "{LIVE_VERTEX_HOST|aiplatform.googleapis.com}"  # of the location `global`
_VERTEX_ROOT = f"https://{_VERTEX_HOST}/v1/projects/{{GOOGLE_CLOUD_PROJECT}}/locations/{{GOOGLE_CLOUD_LOCATION}}"
_OCI = ("LIVE_OCI_REGION", "LIVE_OCI_COMPARTMENT", "LIVE_OCI_MODEL")
_OCI_ROOT = "https://inference.generativeai.{LIVE_OCI_REGION}.oci.oraclecloud.com/openai/v1"
_MANTLE = "https://bedrock-mantle.{LIVE_AWS_REGION}.api.aws/{LIVE_MANTLE_ROOT|openai/v1}"
_RUNTIME = "https://bedrock-runtime.{LIVE_AWS_REGION}.amazonaws.com/openai/v1"

ACCOUNTS = (
    Account(
        name="openai",
        needs=("OPENAI_API_KEY",),
        cloud="openai-own",
        region="global",
        dialect="openai",
        url="{OPENAI_BASE_URL|https://api.openai.com/v1}",
        model="{LIVE_OPENAI_MODEL|gpt-5.5}",
        auth='{kind = "bearer", secret_env = "OPENAI_API_KEY"}',
    ),
    Account(
        name="azure-key",
        needs=(*_AZURE, "AZURE_OPENAI_API_KEY"),
        cloud="azure",
        region="live",
        dialect="azure",
        url="{AZURE_OPENAI_ENDPOINT}/openai/v1",
        model="{LIVE_AZURE_DEPLOYMENT}",
        auth='{kind = "api-key", secret_env = "AZURE_OPENAI_API_KEY"}',
    ),
    Account(
        name="azure-dated",
        needs=(*_AZURE, "AZURE_OPENAI_API_KEY", "OPENAI_API_VERSION"),
        cloud="azure",
        region="live",
        dialect="azure",
        url="{AZURE_OPENAI_ENDPOINT}/openai",
        model="{LIVE_AZURE_DEPLOYMENT}",
        auth='{kind = "api-key", secret_env = "AZURE_OPENAI_API_KEY"}',
        settings='{api_version = "{OPENAI_API_VERSION}"}',
    ),
    Account(
        name="azure-entra",
        needs=(*_AZURE, "LIVE_AZURE_ENTRA"),
        cloud="azure",
        region="live",
        dialect="azure",
        url="{AZURE_OPENAI_ENDPOINT}/openai/v1",
        model="{LIVE_AZURE_DEPLOYMENT}",
        auth='{kind = "entra"}',
    ),
    Account(
        name="bedrock-mantle",
        needs=(*_BEDROCK, "LIVE_MANTLE_MODEL"),
        cloud="aws",
        region="{LIVE_AWS_REGION}",
        dialect="bedrock",
        url=_MANTLE,
        model="{LIVE_MANTLE_MODEL}",
        auth='{kind = "aws"}',
    ),
    Account(
        name="bedrock-runtime",
        needs=(*_BEDROCK, "LIVE_RUNTIME_MODEL"),
        cloud="aws",
        region="{LIVE_AWS_REGION}",
        dialect="bedrock",
        url=_RUNTIME,
        model="{LIVE_RUNTIME_MODEL}",
        auth='{kind = "aws"}',
    ),
    Account(
        name="bedrock-key",
        needs=(*_BEDROCK, "LIVE_MANTLE_MODEL", "AWS_BEARER_TOKEN_BEDROCK"),
        cloud="aws",
        region="{LIVE_AWS_REGION}",
        dialect="bedrock",
        url=_MANTLE,
        model="{LIVE_MANTLE_MODEL}",
        auth='{kind = "bearer", secret_env = "AWS_BEARER_TOKEN_BEDROCK"}',
    ),
    Account(
        name="vertex-responses",
        needs=(*_VERTEX, "LIVE_VERTEX_OPENAI_MODEL"),
        cloud="google-cloud",
        region="{GOOGLE_CLOUD_LOCATION}",
        dialect="vertex",
        url=_VERTEX_ROOT + "/publishers/openai/v1",
        model="{LIVE_VERTEX_OPENAI_MODEL}",
        auth='{kind = "google"}',
    ),
    Account(
        name="vertex-chat",
        needs=(*_VERTEX, "LIVE_VERTEX_CHAT_MODEL"),
        cloud="google-cloud",
        region="{GOOGLE_CLOUD_LOCATION}",
        dialect="vertex",
        url=_VERTEX_ROOT + "/endpoints/openapi",
        model="{LIVE_VERTEX_CHAT_MODEL}",
        auth='{kind = "google"}',
    ),
    Account(
        name="oci-user",
        needs=_OCI,
        cloud="oci",
        region="{LIVE_OCI_REGION}",
        dialect="oci",
        url=_OCI_ROOT,
        model="{LIVE_OCI_MODEL}",
        auth='{kind = "oci-user"}',
        settings='{compartment_id = "{LIVE_OCI_COMPARTMENT}"}',
    ),
    Account(
        name="oci-key",
        needs=(*_OCI, "LIVE_OCI_KEY"),
        cloud="oci",
        region="{LIVE_OCI_REGION}",
        dialect="oci",
        url=_OCI_ROOT,
        model="{LIVE_OCI_MODEL}",
        auth='{kind = "bearer", secret_env = "LIVE_OCI_KEY"}',
        settings='{compartment_id = "{LIVE_OCI_COMPARTMENT}"}',
    ),
)


def deployment(account: Account, environment: Mapping[str, str]) -> str:
    """The account as a [[deployment]] in TOML, its secrets named and not written."""
    lines = [
        "[[deployment]]",
        f'name = "{account.name}"',
        f'dialect = "{account.dialect}"',
        f'url = "{account.url}"',
        f'cloud = "{account.cloud}"',
        'seller = "openai"',
        f'region = "{account.region}"',
        f"auth = {account.auth}",
        f'models = {{"{PRODUCT}" = "{account.model}"}}',
        f"settings = {account.settings}",
    ]
    text = "\n".join(lines) + "\n"
    for name, value in _values(text, environment).items():
        text = text.replace("{" + name + "}", value)
    return text


def _values(text: str, environment: Mapping[str, str]) -> dict[str, str]:
    words = [part.split("}")[0] for part in text.split("{")[1:]]
    names = [name for name in words if name.partition("|")[0].isupper() or name.partition("|")[0].startswith("LIVE_")]
    given = {name: environment.get(name.partition("|")[0]) or name.partition("|")[2] for name in names}
    return {name: value.rstrip("/") for name, value in given.items()}  # consoles show addresses with a slash


def asked(written: DeploymentWritten, where: Path) -> Iterator[Check]:
    """One real request: what it answered and which usage it reported."""
    auth = resolve_auth(written, where)
    target = target_of(written, *next(iter(written.models.items())), auth)
    by_chat = "chat" not in DIALECTS[written.dialect].lacks(target)
    prompt = "Answer with one word: is water wet?"
    body: dict[str, object] = {"model": target.label.model}
    if by_chat:
        body |= {"messages": [{"role": "user", "content": prompt}], "max_completion_tokens": TOKENS_MAX}
    else:
        body |= {"input": prompt, "max_output_tokens": TOKENS_MAX, "store": False}
    call = CHAT_COMPLETIONS if by_chat else RESPONSES
    try:
        with connected(target, TlsSettings()) as connection:
            answered = answer_to(connection, target, fetch(auth), call, json.dumps(body).encode())
    except (OSError, http.client.HTTPException, InvalidInput) as error:
        yield Check(deployment=written.name, what="request", ok=False, found=str(error), remedy="See above.")
        return
    units = (chat_report_in if by_chat else responses_report_in)(answered.body).units
    usage = ", ".join(f"{unit.column} {count}" for unit, count in units) if units else answered.said
    summary = f"{answered.status} in {answered.duration_ms} ms, {answered.request_id or 'no request id'}: {usage}"
    well = answered.status == 200 and units is not None
    remedy = "" if well else "An answer with its usage was expected."
    yield Check(deployment=written.name, what="request", ok=well, found=summary, remedy=remedy)


def main(environment: Mapping[str, str]) -> int:
    named = [account for account in ACCOUNTS if all(environment.get(name) for name in account.needs)]
    for account in ACCOUNTS:
        if account not in named:
            missing = ", ".join(name for name in account.needs if not environment.get(name))
            print(f"skipped  {account.name:<17} set {missing}")
    if not named:
        print("No account is named, so nothing was asked of anybody.")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder) / "live.toml"
        where.write_text("\n".join(deployment(account, environment) for account in named))
        checks = list(_checks(where))
    for check in checks:
        print(f"{'✓' if check.ok else '✗'}  {check.deployment:<17} {check.what:<13} {check.found}")
        if check.remedy:
            print(f"{'':<35}{check.remedy}")
    return 0 if all(check.ok for check in checks) else FAILED


def _checks(where: Path) -> Iterator[Check]:
    opened = open_agreements([])
    patient = Patient(opened=opened, prices=PriceTable(shipped_books(), KnownAt.everything()), configuration=where)
    looked_at = [check for check in examine(patient).checks if check.what in OF_THE_ACCOUNT]
    yield from looked_at
    ill = {check.deployment for check in looked_at if not check.ok}
    if "" in ill:
        return
    configuration: Configuration = read_configuration(where, opened.catalog)
    for written in configuration.deployment:
        if written.name not in ill:
            yield from asked(written, where)


if __name__ == "__main__":
    sys.exit(main(os.environ))
