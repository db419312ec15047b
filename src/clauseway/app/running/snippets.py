"""Snippets to paste and try the gateway: a `curl` command and a few lines of Python, complete as
they stand."""

import json
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

import msgspec

from clauseway.app.opening.configuration import DeploymentWritten
from clauseway.app.opening.home import Home, home_flag
from clauseway.app.opening.library import BUILT_IN
from clauseway.app.opening.named_agreements import agreements_in
from clauseway.app.opening.several import Opened, each_of
from clauseway.web.contexts import Snippet

_KEY = "YOUR-KEY"
_MESSAGES = '[{"role": "user", "content": "Which cloud serves me?"}]'


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """The request of a snippet: its model, the cloud that it asks for (empty for any cloud), and
    the seller from whom its key has to buy."""

    model: str
    cloud: str = ""
    seller: str = "SELLER"


def sample_of(deployments: Sequence[DeploymentWritten]) -> Sample:
    """Return a request that the deployments may serve: for the first one's model.

    A model that its seller has on several clouds is asked of the second one, to show that a request
    may choose.
    """
    if not deployments:
        return Sample(model="MODEL")
    model = next(iter(deployments[0].models), "MODEL")
    seller = deployments[0].seller
    clouds = dict.fromkeys(
        deployment.cloud
        for deployment in deployments
        if model in deployment.models and deployment.seller == seller
    )
    return Sample(model=model, cloud=list(clouds)[1] if len(clouds) > 1 else "", seller=seller)


def key_command(sample: Sample, home: Home, agreement: Path | None) -> str:
    """Return the command that makes a key for a request. `agreement` names the seller; None for one
    that commands at this home take without being told."""
    under = f" --agreement {quote(str(agreement))}" if agreement else ""
    return (
        f"clauseway key create --organisation ours --seller {sample.seller}{under}{home_flag(home)}"
    )


def agreement_to_name(
    home: Home, folders: Sequence[Path], opened: Opened, seller: str
) -> Path | None:
    """Return the folder of the first opened agreement that names a seller; None where commands at
    this home take the same agreements by default."""
    if tuple(folders) == agreements_in(home.configuration):
        return None
    for folder, asked in zip(folders or (Path(BUILT_IN),), each_of(opened), strict=True):
        if seller in asked.catalog.parties:
            return folder
    return None


def snippets_for(
    gateway_url: str, sample: Sample, key: str = "", make_key: str = ""
) -> tuple[Snippet, ...]:
    """Return both snippets for a gateway at `gateway_url` (it ends in `/v1`); without a key they
    say where it goes, after the command `make_key` that makes it."""
    return (
        *((Snippet(label="a key", text=make_key),) if make_key and not key else ()),
        Snippet(label="curl", text=curl_snippet(gateway_url, sample, key or _KEY)),
        Snippet(label="openai-python", text=python_snippet(gateway_url, sample, key or _KEY)),
    )


def curl_snippet(gateway_url: str, sample: Sample, key: str) -> str:
    asked = f" -H 'x-clauseway-cloud: {sample.cloud}'" if sample.cloud else ""
    body = f'{{"model": {json.dumps(sample.model)}, "messages": {_MESSAGES}}}'
    # curl reads the key from its standard input: arguments are shown to everybody on the machine.
    return (
        f"curl -i {gateway_url}/chat/completions -H @- \\\n"
        f"  -H 'Content-Type: application/json'{asked} \\\n"
        f"  -d '{body}' <<'KEY'\n"
        f"Authorization: Bearer {key}\n"
        "KEY"
    )


def python_snippet(gateway_url: str, sample: Sample, key: str) -> str:
    return (
        "from openai import OpenAI\n"
        f'client = OpenAI(base_url="{gateway_url}", api_key="{key}")\n'
        "answer = client.chat.completions.create(\n"
        f"    model={json.dumps(sample.model)}, messages={_MESSAGES}\n"
        ")\n"
        "print(answer.choices[0].message.content)"
    )
