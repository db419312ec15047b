"""Members by which a body has its cloud turn to a further model, or to another's machines: one table.

A request is decided, limited and priced for the model that it names, at the deployment that the
gateway chooses. Members of vendors' own formats stand here, and those of servers that speak OpenAI's
format and read more than OpenAI. Bodies of messages and the tools of a request have further ones of
their own (`message_requests`, `needs`).
"""

from collections.abc import Mapping, Set
from typing import Final

import msgspec

from clauseway.gateway.wire.bodies.body_errors import BadBody, FurtherModel, NotOffered
from clauseway.gateway.wire.bodies.escapes import may_have_escapes
from clauseway.gateway.wire.bodies.members import Members, encode, members_once
from clauseway.values import NOT_JSON

_NEXT_MODEL: Final = "Leave it out, and ask the next model yourself."
_LEAVE_OUT: Final = "Leave it out."
# Member → what to do instead.
FURTHER_MODELS: Final[Mapping[str, str]] = {
    # OpenAI's: a model that moderates what goes in and comes out.
    "moderation": "Leave it out, and ask that model yourself: /v1/moderations.",
    # Anthropic's, LiteLLM's, OpenRouter's and other gateways': models that answer instead.
    "fallbacks": _NEXT_MODEL,
    "models": _NEXT_MODEL,
    # LiteLLM's: models that answer instead for one reason, and a list of models with their keys.
    "context_window_fallbacks": _NEXT_MODEL,
    "content_policy_fallbacks": _NEXT_MODEL,
    "user_config": _LEAVE_OUT,
    # OpenRouter's: what is stored under a name at the account, a model among it.
    "preset": _LEAVE_OUT,
    # Foundry's: an agent of the account, with a model, tools and connections of its own.
    "agent": _LEAVE_OUT,
    "agent_reference": _LEAVE_OUT,
    # OpenRouter's: what chooses a model, reads files with one, or searches the web beside it.
    "plugins": _LEAVE_OUT,
    # Groq's: the models of its compound systems.
    "compound_custom": "Leave its 'models' out.",
    # Together's: a model that moderates.
    "safety_model": "Leave it out, and ask that model yourself.",
    # LM Studio's: a model that writes ahead.
    "draft_model": _LEAVE_OUT,
    # SGLang's, llama.cpp's and MLX's: weights beside the model's.
    "lora_path": _LEAVE_OUT,
    "lora": _LEAVE_OUT,
    "adapters": _LEAVE_OUT,
}
# OpenRouter's and Vercel's: who of several hosts serves. LiteLLM's: the address of another.
FURTHER_HOSTS: Final = ("provider", "providerOptions", "api_base", "base_url")
# LiteLLM's: members that take the place of those at the top. Google's has one of its own, `google`.
_EXTRA_BODY: Final = "extra_body"
_GOOGLE: Final = "google"
# Members that name a prompt kept by Google, on the account.
_KEPT: Final = ("cached_content", "cachedContent")
FURTHER: Final = frozenset((*FURTHER_MODELS, *FURTHER_HOSTS, _EXTRA_BODY))
_OBJECT: Final = ord("{")
_SAYS_NOTHING: Final = frozenset((b"null", b"false", b'""', b"[]", b"{}"))


def refuse_further_models(members: Members, read: Set[str]) -> None:
    """Raise FurtherModel or NotOffered where one of the members at the top of a body has the cloud
    turn to another model or host. `read` are the members that the gateway reads at the top."""
    for name, instead in FURTHER_MODELS.items():
        if _names_model(name, members):
            raise FurtherModel(name, instead)
    for name in FURTHER_HOSTS:
        if _says_something(name, members):
            message = (
                f"{name!r} has the cloud choose whose machines serve, which nobody here decided. Leave "
                "it out: the gateway chooses the deployment."
            )
            raise NotOffered(message, name)
    extra = members.get(_EXTRA_BODY)
    if extra is not None and memoryview(extra)[0] == _OBJECT:
        within = members_once(extra, read | {_GOOGLE}, _EXTRA_BODY)
        _refuse_second_values(within, read)
        _refuse_kept_content(within)


def refuse_further_field(name: str, value: bytes, read: Set[str]) -> None:
    """Raise as `refuse_further_models` where a form's field has the cloud turn to another model or
    host. Raise BadBody where the field is an object that cannot be read."""
    # As HTTP libraries write lists and objects: `models[]`, `provider[order][]`.
    top, bracket, within = name.partition("[")
    if top not in FURTHER or not value.strip():
        return
    written = encode({within.partition("]")[0]: True}) if bracket else value
    try:
        refuse_further_models({top: msgspec.Raw(written)}, read)
    except NOT_JSON as error:
        raise BadBody(f"{top!r} is no object: {error}.", top) from None


def _refuse_second_values(extra: Members, read: Set[str]) -> None:
    """Raise NotOffered where `extra_body` holds a member that the gateway reads at the top."""
    for name in extra:
        if name in read and _says_something(name, extra):
            message = (
                f"{name!r} within {_EXTRA_BODY!r} takes the place of the member at the top, by which the "
                "gateway decides. Write it at the top."
            )
            raise NotOffered(message, f"{_EXTRA_BODY}.{name}")


def _refuse_kept_content(extra: Members) -> None:
    """Raise NotOffered where Google is to read what lies on the account under a name."""
    google = extra.get(_GOOGLE)
    if google is None or memoryview(google)[0] != _OBJECT:
        return
    path = f"{_EXTRA_BODY}.{_GOOGLE}"
    members = members_once(google, frozenset(_KEPT), path)
    for name in _KEPT:
        if _says_something(name, members):
            message = (
                f"{name!r} names what lies on the operator's account, where whoever knows the name "
                "could read it. Send what it holds."
            )
            raise NotOffered(message, f"{path}.{name}")


def _names_model(name: str, members: Members) -> bool:
    """Return whether a member names a further model."""
    if not _says_something(name, members):
        return False
    written = bytes(members[name])
    if name == "moderation":
        # Of a picture it is a word: how strictly the model itself moderates.
        return written.startswith(b"{")
    if name == "compound_custom":
        return b'"models"' in written or may_have_escapes(written)
    return True


def _says_something(name: str, members: Members) -> bool:
    written = members.get(name)
    return written is not None and b"".join(bytes(written).split()) not in _SAYS_NOTHING
