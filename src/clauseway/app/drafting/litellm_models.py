"""A model of LiteLLM's configuration as a deployment: which account of which vendor it is, how one
authenticates there, and which product it sells.

Every parameter of an entry is taken, or told: `ModelEntry` keeps count. A parameter that cannot be
carried over raises `NotCarried`, with the way to do it here.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from clauseway.app.drafting.vendors import (
    ANTHROPIC,
    AWS,
    AZURE,
    COMPATIBLE,
    GEMINI,
    GOOGLE,
    OPENAI,
    ORACLE,
    Vendor,
    own_server,
)
from clauseway.exchange.litellm import LitellmModel

_ENVIRONMENT = "os.environ/"
_AGAIN = "Correct it there and import again."
# Servers of one's own that speak OpenAI's format, and where each listens by default.
_OWN_SERVERS: Mapping[str, str] = {
    "ollama": "http://localhost:11434",
    "ollama_chat": "http://localhost:11434",
    "lm_studio": "http://localhost:1234/v1",
    "hosted_vllm": "",
    "vllm": "",
    "llamafile": "http://localhost:8080/v1",
    "xinference": "",
    "litellm_proxy": "",
    "openai_like": "",
    "custom_openai": "",
}
_OPENAI_MODEL = re.compile(r"^(gpt|chatgpt|o\d|text-embedding|whisper|tts|omni-moderation|dall-e)")
# Parameters that are reported, not carried: the gateway does them by itself, or clients say them.
_CLIENTS = "requests pass as clients write them: set it there"
_REPORTED: Mapping[str, str] = {
    "max_input_tokens": "of embeddings it bounds each input; context_tokens_max would bound all of "
    "a request together",
    **dict.fromkeys(
        (
            "temperature",
            "top_p",
            "seed",
            "max_tokens",
            "max_completion_tokens",
            "stop",
            "n",
            "presence_penalty",
            "frequency_penalty",
            "reasoning_effort",
            "thinking",
            "response_format",
            "stream",
            "user",
            "extra_body",
            "metadata",
        ),
        _CLIENTS,
    ),
    **dict.fromkeys(
        ("timeout", "stream_timeout", "request_timeout"),
        "times are set once for all: deadline_s and attempt_timeout_s of [gateway]",
    ),
    **dict.fromkeys(
        ("max_retries", "num_retries", "cooldown_time", "allowed_fails"),
        "another deployment of the same model is asked by itself, and one that fails is left out",
    ),
    **dict.fromkeys(
        ("weight", "order", "tags"),
        "deployments are asked in the order of the file, or by `clauseway project set --strategy`",
    ),
    **dict.fromkeys(
        ("max_budget", "budget_duration"), "spending is bounded by `clauseway budget set`"
    ),
    **dict.fromkeys(
        ("drop_params", "additional_drop_params", "allowed_openai_params"),
        "nothing is dropped: a deployment that lacks what a request needs is skipped",
    ),
    **dict.fromkeys(
        ("extra_headers", "headers", "default_headers"),
        "clouds hear the gateway's own headers, and those of clients in passed_headers of [gateway]",
    ),
    "max_parallel_requests": "requests and tokens by the minute are limited: `clauseway limit set`",
    "mode": "the product says what kind of model it is",
    "id": "deployments are told apart by their names",
    "access_groups": "who may ask is said by keys: `clauseway key create`",
}


class NotCarried(Exception):
    """A model that cannot be served: why, and what to do."""

    def __init__(self, why: str, remedy: str = _AGAIN) -> None:
        super().__init__(why)
        self.why, self.remedy = why, remedy


class VendorAccount(msgspec.Struct, frozen=True, kw_only=True):
    """How a vendor is asked for a model. `model` is its name there; `about` goes above it."""

    vendor: Vendor
    name: str
    dialect: str
    url: str
    auth: Mapping[str, Any]
    model: str
    region: str = "global"
    settings: Mapping[str, str] = {}
    # One of the vendor's products that an agreement may name: a slip in it must not be served.
    is_named: bool = False
    is_own: bool = False
    # A second address of the same account, for clients of OpenAI's format.
    chat_url: str = ""
    about: tuple[str, ...] = ()


class ModelEntry:
    """An entry whose parameters are taken one by one; `rest` tells those that nobody took."""

    def __init__(
        self,
        model: LitellmModel,
        credentials: Mapping[str, Mapping[str, Any]],
        environment: Mapping[str, str],
        secrets: dict[str, str],
    ) -> None:
        self.model, self._environment, self._secrets = model, environment, secrets
        shared = credentials.get(str(model.params.get("litellm_credential_name", "")), {})
        self._params = {**shared, **model.params}
        self._taken = {"model", "litellm_credential_name"}
        self.remarks: list[tuple[str, str]] = []
        named = model.params.get("litellm_credential_name")
        if named and named not in credentials:
            why = f"it names the credential {str(named)!r}, which the file does not have"
            raise NotCarried(why, "Write it into credential_list and import again.")

    def text(self, *names: str) -> str:
        """Return a parameter as text, from the environment where it stands there; empty if it is
        not given. Of several names the first that is given counts."""
        written = self._first(names)
        if not written.startswith(_ENVIRONMENT):
            return written
        variable = written.removeprefix(_ENVIRONMENT)
        if variable not in self._environment:
            why = f"{names[0]} is taken from {variable}, which is not set"
            raise NotCarried(why, f"Set {variable} and import again, or write the value itself.")
        self.remarks.append((names[0], f"it is written as {variable} says now"))
        return self._environment[variable]

    def number(self, *names: str) -> int:
        """Return a parameter that counts; 0 if it is not given or none that can be read."""
        for name in names:
            value = self._params.get(name, self.model.info.get(name))
            if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**15:
                self._taken.update(names)
                return int(value)
        return 0

    def secret(self, usual: str, *names: str) -> str:
        """Return the variable of the environment that holds a secret: the one that is named, else
        the usual one, or one beside it where that holds another. A secret is never carried."""
        written = self._first(names) or _ENVIRONMENT + usual
        if written.startswith(_ENVIRONMENT):
            self._secrets.setdefault(written.removeprefix(_ENVIRONMENT), written)
            return written.removeprefix(_ENVIRONMENT)
        # Entries of one vendor with keys of their own need a variable each.
        variable, number = usual, 2
        while self._secrets.setdefault(variable, written) != written:
            variable, number = f"{usual}_{number}", number + 1
        says = f"secrets never stand in a configuration: put it into {variable}"
        self.remarks.append((names[0], says))
        return variable

    def given(self, *names: str) -> bool:
        return any(self._params.get(name) not in (None, "") for name in names)

    def cost(self, name: str) -> Any:
        """Return a cost that the entry states, None where it states none."""
        value = self._params.get(name, self.model.info.get(name))
        self._taken.add(name)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def sentences(self) -> list[tuple[str, str]]:
        """Return every parameter that nobody took, with what there is instead, and the remarks."""
        rest = [
            (key, _REPORTED.get(key, "nothing here reads it"))
            for key in [*self._params, *self.model.info, *self.model.others]
            if key not in self._taken
        ]
        return [*self.remarks, *dict(rest).items()]

    def take(self, *names: str) -> None:
        self._taken.update(names)

    def _first(self, names: tuple[str, ...]) -> str:
        self._taken.update(names)
        for name in names:
            value = self._params.get(name)
            if value not in (None, ""):
                return str(value).strip()
        return ""


def account_of(entry: ModelEntry) -> VendorAccount:
    """Return the account that an entry asks. Raise NotCarried."""
    written = str(entry.model.params["model"]).strip()
    if "*" in written or "*" in entry.model.name:
        why = "it stands for models that are not named, and what is not named cannot be decided"
        raise NotCarried(why, "List the models that you use, one entry each, and import again.")
    provider, model = _provider(entry, written)
    # LiteLLM has two prefixes for Cohere; its chat one is the same vendor.
    if provider in COMPATIBLE or provider == "cohere_chat":
        return _compatible(entry, COMPATIBLE[provider.removesuffix("_chat")], model)
    if provider in _OWN_SERVERS:
        return _own(entry, provider, model, _OWN_SERVERS[provider])
    if provider not in _BUILDERS:
        spoken = ", ".join(sorted({*_BUILDERS, *COMPATIBLE, *_OWN_SERVERS}))
        why = f"the format of {provider!r} is not spoken here"
        raise NotCarried(
            why,
            f"Spoken are {spoken}; behind any of them that speaks OpenAI's: openai/ and api_base.",
        )
    account = _BUILDERS[provider](entry, model)
    if account.about == _MESSAGES_ONLY:
        entry.remarks += [("model", says) for says in _MESSAGES_ONLY]
    return account


def _provider(entry: ModelEntry, written: str) -> tuple[str, str]:
    """Return the provider of an entry, and the model's name there."""
    asked = entry.text("custom_llm_provider")
    prefix, slash, rest = written.partition("/")
    if asked:
        return asked, rest if slash and prefix == asked else written
    if slash and (prefix in _BUILDERS or prefix in COMPATIBLE or prefix in _OWN_SERVERS):
        return prefix, rest
    # LiteLLM takes names of OpenAI's and Anthropic's models without a prefix.
    if _OPENAI_MODEL.match(written):
        return "openai", written
    if written.startswith("claude"):
        return "anthropic", written
    if slash:
        return prefix, rest
    raise NotCarried(f"{written!r} does not say whose it is", "Write it as provider/model.")


def _bearer(entry: ModelEntry, usual: str) -> dict[str, str]:
    return {"kind": "bearer", "secret_env": entry.secret(usual, "api_key")}


def _root(address: str) -> str:
    """Return an address as a root: with a scheme, without a slash at its end."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NotCarried(f"api_base {address!r} is not an address", _AGAIN)
    return address.rstrip("/").removesuffix("/chat/completions")


def _openai(entry: ModelEntry, model: str) -> VendorAccount:
    base = entry.text("api_base", "base_url")
    # These prefixes choose an endpoint in LiteLLM; here clients choose it by the path that they
    # ask.
    model = model.removeprefix("responses/").removeprefix("chat/")
    # With another host LiteLLM's `openai` is any server that speaks OpenAI's format.
    if base and not (urlsplit(base).hostname or "").endswith("openai.com"):
        return _own(entry, "openai", model, base)
    settings = {
        name: text
        for name in ("organization", "project")
        if (text := entry.text(name) if not isinstance(_raw(entry, name), list) else "")
    }
    return VendorAccount(
        vendor=OPENAI,
        name="openai",
        dialect="openai",
        url=OPENAI.url if not base else _root(base),
        auth=_bearer(entry, OPENAI.key_env),
        model=model,
        settings=settings,
        is_named=True,
    )


def _raw(entry: ModelEntry, name: str) -> Any:
    return entry.model.params.get(name)


def _compatible(entry: ModelEntry, vendor: Vendor, model: str) -> VendorAccount:
    base = entry.text("api_base", "base_url")
    return VendorAccount(
        vendor=vendor,
        name=vendor.party,
        dialect="openai",
        url=_root(base) if base else vendor.url,
        auth=_bearer(entry, vendor.key_env),
        model=model,
    )


def _own(entry: ModelEntry, provider: str, model: str, usual: str) -> VendorAccount:
    base = entry.text("api_base", "base_url") or usual
    if not base:
        raise NotCarried("it says no api_base, so nobody knows where it is", _AGAIN)
    url = _root(base)
    if provider.startswith("ollama") and not urlsplit(url).path:
        url += "/v1"  # where ollama speaks OpenAI's format
    host = urlsplit(url).netloc.rpartition("@")[2]
    name = re.sub(r"[^a-z0-9.-]+", "-", host.lower())
    written = str(_raw(entry, "api_key") or "")
    if written.lower() in ("", "none", "empty", "dummy", "na"):
        entry.take("api_key")
        auth: dict[str, str] = {"kind": "none"}
    else:
        variable = re.sub(r"[^A-Z0-9]+", "_", f"{name}_API_KEY".upper())
        auth = _bearer(entry, variable)
    return VendorAccount(
        vendor=own_server(url),
        name=name,
        dialect="openai",
        url=url,
        auth=auth,
        model=model,
        is_own=True,
        about=("A server that speaks OpenAI's format. Its prices are 0 where none are stated.",),
    )


def _azure_auth(entry: ModelEntry) -> dict[str, Any]:
    """Return how one authenticates to Azure: a key, or Entra ID where the entry names a tenant."""
    if entry.given("tenant_id", "client_id", "client_secret"):
        settings = {name: text for name in ("tenant_id", "client_id") if (text := entry.text(name))}
        entry.take("api_key")
        variable = entry.secret("AZURE_CLIENT_SECRET", "client_secret")
        return {"kind": "entra", "secret_env": variable, "settings": settings}
    if entry.given("azure_ad_token") and not entry.given("api_key"):
        entry.take("azure_ad_token", "api_key")
        entry.remarks.append(("azure_ad_token", "tokens are fetched and renewed by the gateway"))
        return {"kind": "entra"}
    entry.take("azure_ad_token")
    return {"kind": "api-key", "secret_env": entry.secret(AZURE.key_env, "api_key")}


def _azure_host(entry: ModelEntry) -> tuple[str, str]:
    base = entry.text("api_base", "base_url")
    if not base:
        raise NotCarried("it says no api_base, so nobody knows which resource it is", _AGAIN)
    parts = urlsplit(_root(base))
    return f"{parts.scheme}://{parts.netloc}", (parts.hostname or "").partition(".")[0]


def _azure(entry: ModelEntry, model: str) -> VendorAccount:
    host, resource = _azure_host(entry)
    version = entry.text("api_version")
    # Azure's older API has a date as its version; v1 has none, and a path of its own.
    is_dated = version[:4].isdigit()
    settings = {"api_version": version} if version and version != "v1" else {}
    return VendorAccount(
        vendor=AZURE,
        name=f"azure-{resource}",
        dialect="azure",
        url=f"{host}/openai" if is_dated else f"{host}/openai/v1",
        auth=_azure_auth(entry),
        model=model.removeprefix("responses/").removeprefix("gpt5_series/"),
        settings=settings,
        region=entry.text("region_name") or "global",
        is_named=True,
        about=("Write the region of the resource (swedencentral, …) where residency matters.",)
        if not entry.given("region_name")
        else (),
    )


def _azure_ai(entry: ModelEntry, model: str) -> VendorAccount:
    host, resource = _azure_host(entry)
    entry.take("api_version")
    is_claude = model.startswith("claude")
    return VendorAccount(
        vendor=AZURE,
        name=f"foundry-{resource}",
        dialect="azure",
        url=f"{host}/anthropic/v1" if is_claude else f"{host}/openai/v1",
        auth=_azure_auth(entry),
        model=model,
        about=_MESSAGES_ONLY if is_claude else (),
    )


_MESSAGES_ONLY: tuple[str, ...] = (
    "Anthropic's models are served here in their own format alone: clients ask /v1/messages.",
)


def _bedrock(entry: ModelEntry, model: str) -> VendorAccount:
    is_mantle = model.startswith("mantle/")
    # LiteLLM's routes choose one of Bedrock's APIs; the model's id follows them.
    for route in ("converse/", "converse_like/", "invoke/", "openai/", "mantle/"):
        model = model.removeprefix(route)
    region = entry.text("aws_region_name", "region_name")
    # An inference profile's id is a model's behind the area within which it is routed.
    bare = re.sub(r"^(us|eu|apac|au|jp|us-gov|global)\.", "", model)
    if not region:
        raise NotCarried(
            "it says no aws_region_name, so nobody knows where it is",
            "Write aws_region_name (or os.environ/AWS_REGION_NAME) and import again.",
        )
    if bare.startswith(("anthropic.", "claude")):
        url = f"https://bedrock-runtime.{region}.amazonaws.com"
    elif bare.startswith("openai.") and not is_mantle and _is_of_runtime(model):
        url = f"https://bedrock-runtime.{region}.amazonaws.com/openai/v1"
    elif bare.startswith("openai."):
        # Mantle keeps the open-weight models under a root of their own.
        root = "v1" if bare.startswith("openai.gpt-oss") else "openai/v1"
        url = f"https://bedrock-mantle.{region}.api.aws/{root}"
    else:
        raise NotCarried(
            "Bedrock serves it in formats of its own (Converse, InvokeModel) alone",
            "Here Bedrock serves OpenAI's and Anthropic's models. Keep this one where it is.",
        )
    return VendorAccount(
        vendor=AWS,
        name=f"bedrock-{region}",
        dialect="bedrock",
        url=url,
        auth=_aws_auth(entry),
        model=model,
        region=region,
        about=() if bare.startswith("openai.") else _MESSAGES_ONLY,
    )


def _is_of_runtime(model: str) -> bool:
    """Return whether only Bedrock's runtime has a model of this id: one with a version, or an
    inference profile's."""
    return not model.startswith("openai.") or re.search(r"-\d+:\d+$", model) is not None


def _aws_auth(entry: ModelEntry) -> dict[str, Any]:
    # A Bedrock API key is a bearer token.
    if entry.given("api_key"):
        return _bearer(entry, "AWS_BEARER_TOKEN_BEDROCK")
    if entry.given("aws_access_key_id", "aws_secret_access_key"):
        auth: dict[str, Any] = {
            "kind": "sigv4",
            "access_key_env": entry.secret("AWS_ACCESS_KEY_ID", "aws_access_key_id"),
            "secret_env": entry.secret("AWS_SECRET_ACCESS_KEY", "aws_secret_access_key"),
        }
        if entry.given("aws_session_token"):
            auth["session_token_env"] = entry.secret("AWS_SESSION_TOKEN", "aws_session_token")
        return auth
    profile = entry.text("aws_profile_name")
    for name in ("aws_role_name", "aws_session_name", "aws_web_identity_token"):
        if entry.given(name):
            entry.take(name)
            says = "write the role into a profile of ~/.aws/config: its whole chain is followed"
            entry.remarks.append((name, says))
    # Without keys of its own the account is found by AWS's usual chain.
    return {"kind": "aws", "settings": {"profile": profile}} if profile else {"kind": "aws"}


def _vertex(entry: ModelEntry, model: str) -> VendorAccount:
    project = entry.text("vertex_project", "vertex_ai_project")
    # LiteLLM's default where no location is given.
    location = entry.text("vertex_location", "vertex_ai_location") or "us-central1"
    if not project:
        raise NotCarried("it says no vertex_project", "Write it and import again.")
    host = "aiplatform.googleapis.com"
    # The global endpoint alone has no location in its host.
    if location != "global":
        host = f"{location}-{host}"
    root = f"https://{host}/v1/projects/{project}/locations/{location}"
    credentials = entry.text("vertex_credentials", "vertex_ai_credentials")
    settings = {"credentials_file": credentials} if credentials else {}
    # LiteLLM takes the credentials themselves too, as JSON in place of a path.
    if credentials.startswith("{"):
        says = "credentials never stand in a configuration: write them into a file and name it"
        entry.remarks.append(("vertex_credentials", says))
        settings = {}
    auth: dict[str, Any] = {"kind": "google", **({"settings": settings} if settings else {})}
    # The kind of model says which of Vertex AI's surfaces serves it, each at a path of its own.
    bare = model.removeprefix("gemini/").removeprefix("openai/")
    if bare.startswith("claude"):
        root = f"{root}/publishers/anthropic"
    elif bare.startswith(("gemini", "google/gemini")):
        root = f"{root}/endpoints/openapi"
        # Vertex AI's endpoint for OpenAI's format asks for Gemini with its publisher: google/….
        bare = f"google/{bare.removeprefix('google/')}"
    elif "maas" in bare:
        root = f"{root}/endpoints/openapi"
        bare = bare if "/" in bare else f"openai/{bare}"
    else:
        raise NotCarried(
            "Vertex AI serves it in a format of its own alone",
            "Here Vertex AI serves Gemini, Claude and open models in chat. Keep this one there.",
        )
    return VendorAccount(
        vendor=GOOGLE,
        name=f"vertex-{location}",
        dialect="vertex",
        url=root,
        auth=auth,
        model=bare,
        region=location,
        about=_MESSAGES_ONLY if bare.startswith("claude") else (),
    )


def _gemini(entry: ModelEntry, model: str) -> VendorAccount:
    return _compatible(entry, GEMINI, model)


def _anthropic(entry: ModelEntry, model: str) -> VendorAccount:
    base = entry.text("api_base", "base_url")
    url = ANTHROPIC.url
    if base:
        # The address may come with the path of Messages, or without.
        url = _root(base).removesuffix("/messages").removesuffix("/v1") + "/v1"
    return VendorAccount(
        vendor=ANTHROPIC,
        name="anthropic",
        dialect="anthropic",
        url=url,
        auth=_bearer(entry, ANTHROPIC.key_env),
        model=model,
        chat_url="" if base else ANTHROPIC.url,
        about=("Clients of /v1/messages, Anthropic's own format.",),
    )


def _oci(entry: ModelEntry, model: str) -> VendorAccount:
    region = entry.text("oci_region") or "us-ashburn-1"
    compartment = entry.text("oci_compartment_id")
    auth: dict[str, Any] = {"kind": "oci-user"}
    if entry.given("oci_user") and entry.given("oci_key_file"):
        # Oracle's request signatures name a key as tenancy/user/fingerprint.
        parts = [entry.text(name) for name in ("oci_tenancy", "oci_user", "oci_fingerprint")]
        auth = {
            "kind": "signature",
            "secret_file": entry.text("oci_key_file"),
            "settings": {"key_id": "/".join(parts)},
        }
    entry.take("oci_user", "oci_fingerprint", "oci_tenancy", "oci_key", "oci_key_file")
    return VendorAccount(
        vendor=ORACLE,
        name=f"oci-{region}",
        dialect="oci",
        url=f"https://inference.generativeai.{region}.oci.oraclecloud.com/openai/v1",
        auth=auth,
        model=model,
        region=region,
        settings={"compartment_id": compartment} if compartment else {},
    )


_BUILDERS: Mapping[str, Callable[[ModelEntry, str], VendorAccount]] = {
    "openai": _openai,
    "text-completion-openai": _openai,
    "azure": _azure,
    "azure_text": _azure,
    "azure_ai": _azure_ai,
    "bedrock": _bedrock,
    "bedrock_converse": _bedrock,
    "vertex_ai": _vertex,
    "vertex_ai_beta": _vertex,
    "gemini": _gemini,
    "anthropic": _anthropic,
    "oci": _oci,
}
