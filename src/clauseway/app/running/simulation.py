"""The sandbox clouds as a process, and the configuration by which a gateway finds them."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from clauseway.app.opening.home import Home
from clauseway.app.opening.places import A_FOLDER, writing
from clauseway.app.running.processes import Child, moved, start
from clauseway.sandbox.clouds import FAKE_CLOUDS
from clauseway.sandbox.signatures import credentials

# The name for people and the usual port of each simulated cloud.
SIMULATED: Mapping[str, tuple[str, int]] = {
    name: (kind.title, kind.usual_port) for name, kind in FAKE_CLOUDS.items()
}


class FakeCloudAddress(msgspec.Struct, frozen=True):
    """Where a simulated cloud listens, and a credential it takes."""

    cloud: str
    url: str
    credential: str


class RunningSandbox(msgspec.Struct, frozen=True):
    """The running sandbox."""

    child: Child
    addresses: tuple[FakeCloudAddress, ...]
    # Usual ports that were taken, each a sentence.
    notes: tuple[str, ...] = ()

    @property
    def running(self) -> bool:
        return self.child.running

    def url(self, cloud: str) -> str:
        return next(address.url for address in self.addresses if address.cloud == cloud)


@contextlib.contextmanager
def sandbox_clouds(
    home: Home, ports: Mapping[str, int | None] | None = None, faults: Sequence[str] = ()
) -> Iterator[RunningSandbox]:
    """Run the simulated clouds until the block ends. Raise InvalidInput, ChildFailed.

    A cloud without a port in `ports` takes its usual one, or the next free one above it.
    """
    asked = {cloud: port for cloud, port in (ports or {}).items() if port is not None}
    arguments = []
    for cloud, port in asked.items():
        arguments += [f"--{cloud.replace('_', '-')}-port", str(port)]
    for fault in faults:
        arguments += ["--fault", fault]
    child = start(
        "the sandbox clouds", "clauseway.sandbox", arguments, home.make().logs / "sandbox.log"
    )
    try:
        yield RunningSandbox(
            child, _addresses(child.ready["ports"]), _notes(asked, child.ready["ports"])
        )
    finally:
        child.stop()


def _notes(asked: Mapping[str, int], ports: Mapping[str, int]) -> tuple[str, ...]:
    sentences: tuple[str, ...] = ()
    for cloud, port in ports.items():
        sentences += moved(
            f"the simulated {cloud} listens", asked.get(cloud), FAKE_CLOUDS[cloud].usual_port, port
        )
    return sentences


def _addresses(ports: Mapping[str, int]) -> tuple[FakeCloudAddress, ...]:
    return tuple(
        FakeCloudAddress(name, f"http://127.0.0.1:{ports[name]}{kind.root}", kind.credential())
        for name, kind in FAKE_CLOUDS.items()
    )


def write_credentials(clouds: RunningSandbox, folder: Path) -> None:
    """Write the demonstration credentials as the files that the vendors' own SDKs look for. Raise
    InvalidInput if they cannot be written."""
    token_uri = clouds.url("vertex").removesuffix(FAKE_CLOUDS["vertex"].root) + "/token"
    with writing(folder, A_FOLDER):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, text in credentials.credential_files(folder.resolve(), token_uri).items():
            path = folder / name
            path.touch(mode=0o600)
            path.write_text(text, "utf-8")


def write_configuration(clouds: RunningSandbox, path: Path) -> None:
    """Write the deployments of the simulated week: OpenAI's sales hosted on Azure and on AWS,
    Microsoft's on Azure. Raise InvalidInput if the file cannot be written."""
    text = _CONFIGURATION.format(
        openai=clouds.url("openai"),
        openai_key=credentials.OPENAI_API_KEY,
        azure=clouds.url("azure"),
        azure_key=credentials.AZURE_API_KEY,
        azure_region=credentials.AZURE_REGION,
        bedrock=clouds.url("bedrock"),
        access_key=credentials.AWS_ACCESS_KEY_ID,
        secret_key=credentials.AWS_SECRET_ACCESS_KEY,
        region=credentials.AWS_REGION,
        service=credentials.AWS_SERVICE,
    )
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        # The file holds keys, if only the sandbox's.
        path.chmod(0o600)


_CONFIGURATION = """\
# Deployments on the sandbox clouds. OpenAI's direct sales are hosted on Azure.

[[deployment]]
name = "openai-direct"
dialect = "openai"
url = "{openai}"
cloud = "azure"
seller = "openai"
region = "global"
auth = {{kind = "bearer", secret = "{openai_key}"}}
models = {{"gpt-5.5" = "gpt-5.5", "gpt-5.4" = "gpt-5.4"}}

[[deployment]]
name = "azure-openai"
dialect = "azure"
url = "{azure}"
cloud = "azure"
seller = "microsoft"
region = "{azure_region}"
auth = {{kind = "api-key", secret = "{azure_key}"}}
models = {{"gpt-5.5" = "gpt-5-5", "gpt-5.4" = "gpt-5-4"}}

[[deployment]]
name = "bedrock-mantle"
dialect = "bedrock"
url = "{bedrock}"
cloud = "aws"
seller = "openai"
region = "{region}"
models = {{"gpt-5.5" = "openai.gpt-5.5", "gpt-5.4" = "openai.gpt-5.4"}}
[deployment.auth]
kind = "sigv4"
access_key = "{access_key}"
secret = "{secret_key}"
service = "{service}"
region = "{region}"
"""
