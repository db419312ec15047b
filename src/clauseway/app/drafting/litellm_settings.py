"""The settings of LiteLLM's configuration beside its models: carried over, or reported with the
setting, command or behaviour that stands in their place here."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from clauseway.exchange.litellm import LitellmSetting

_MEGABYTE = 1_000_000
_KEYS = "customers' keys are made here: `clauseway key create`"
_BY_ITSELF = "another deployment of the same model is asked by itself, within [gateway] deadline_s"
_OTHER_MODEL = (
    "a request is for one model, and its deployments are asked in turn; another model is for the "
    "client to ask"
)
_RECORDS = (
    "every request is recorded and metered here: `clauseway usage`, `clauseway usage request`"
)
_DATABASE = "control data lies in the home; on PostgreSQL after `clauseway home migrate`"
_REDIS = "processes share limits and budgets by themselves: `clauseway serve --workers`"
_CACHE = "answers are not cached; clouds' own prompt caching passes through"
# The sentence for a setting that is not carried over: what stands in its place here.
_REPORTED: Mapping[str, str] = {
    "master_key": _KEYS,
    "custom_auth": _KEYS,
    "enable_jwt_auth": _KEYS,
    "litellm_key_header_name": _KEYS,
    "database_url": _DATABASE,
    "database_connection_pool_limit": _DATABASE,
    "store_model_in_db": "deployments stand in the configuration, which is read again when it changes",
    "fallbacks": _OTHER_MODEL,
    "default_fallbacks": _OTHER_MODEL,
    "context_window_fallbacks": _OTHER_MODEL,
    "content_policy_fallbacks": _OTHER_MODEL,
    "num_retries": _BY_ITSELF,
    "max_retries": _BY_ITSELF,
    "retry_policy": _BY_ITSELF,
    "retry_after": _BY_ITSELF,
    "allowed_fails": "a deployment that fails is left out and tried again by itself",
    "allowed_fails_policy": "a deployment that fails is left out and tried again by itself",
    "cooldown_time": "a deployment that fails is left out and tried again by itself",
    "disable_cooldowns": "a deployment that fails is left out and tried again by itself",
    "enable_pre_call_checks": "a deployment that cannot hold a request is always skipped",
    "drop_params": "nothing is dropped: a deployment that lacks what is asked is skipped",
    "modify_params": "nothing is changed: docs/wire.md says what passes",
    "redis_host": _REDIS,
    "redis_port": _REDIS,
    "redis_password": _REDIS,
    "redis_url": _REDIS,
    "cache": _CACHE,
    "cache_params": _CACHE,
    "cache_responses": _CACHE,
    "max_budget": "spending is bounded by `clauseway budget set`",
    "budget_duration": "spending is bounded by `clauseway budget set --period`",
    "max_parallel_requests": "requests and tokens by the minute: `clauseway limit set`",
    "global_max_parallel_requests": "requests and tokens by the minute: `clauseway limit set`",
    "disable_spend_logs": _RECORDS,
    "store_prompts_in_spend_logs": "prompts and answers are never stored here",
    "turn_off_message_logging": "prompts and answers are never logged here",
    "set_verbose": "[log] access writes a line for each request",
    "alerting": "alert by the figures for Prometheus: [telemetry] metrics",
    "alerting_threshold": "alert by the figures for Prometheus: [telemetry] metrics",
    "background_health_checks": "deployments are watched by their answers; `clauseway doctor` asks them",
    "health_check_interval": "deployments are watched by their answers; `clauseway doctor` asks them",
    "forward_client_headers_to_llm_api": "[gateway] passed_headers names headers that pass",
    "pass_through_endpoints": "docs/wire.md lists the paths that are offered",
    "tag_filtering": "routing by organisation and project: `clauseway project set`",
    "enable_tag_filtering": "routing by organisation and project: `clauseway project set`",
    "guardrails": "bodies pass unread but for what decides and meters them",
    "callback_settings": "spans and figures go out by [telemetry]",
    "mcp_servers": "this gateway serves models, no tools",
}
_STRATEGIES: Mapping[str, str] = {
    "latency-based-routing": "fastest",
    "cost-based-routing": "cheapest",
}
_CALLBACKS = ("callbacks", "success_callback", "failure_callback", "service_callbacks")


class CarriedSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of ours by section, other names of models, and a sentence for each setting read."""

    sections: Mapping[str, Mapping[str, object]]
    aliases: Mapping[str, str]
    # (the setting, is it carried, the sentence)
    sentences: tuple[tuple[LitellmSetting, bool, str], ...]


def carried_settings(settings: tuple[LitellmSetting, ...]) -> CarriedSettings:
    """Carry settings over, each with a sentence for whoever reads what became of it."""
    sections: dict[str, dict[str, object]] = {}
    aliases: dict[str, str] = {}
    sentences: list[tuple[LitellmSetting, bool, str]] = []
    for setting in settings:
        ours = _ours(setting)
        for section, key, value in ours:
            sections.setdefault(section, {})[key] = value
        if setting.key == "model_group_alias" and isinstance(setting.value, Mapping):
            # LiteLLM takes a model group's name here, or a table with it under `model`.
            named = {
                str(name): str(meant.get("model", "") if isinstance(meant, Mapping) else meant)
                for name, meant in setting.value.items()
            }
            aliases |= named
            sentences.append((setting, True, "under [names]"))
        elif ours:
            said = ", ".join(f"{key} of [{section}]" for section, key, _ in ours)
            sentences.append((setting, True, said))
        else:
            sentences.append((setting, False, _instead(setting)))
    return CarriedSettings(sections=sections, aliases=aliases, sentences=tuple(sentences))


def _ours(setting: LitellmSetting) -> list[tuple[str, str, object]]:
    """Return the settings of ours (section, key, value) that say the same."""
    if setting.key in _CALLBACKS:
        value = setting.value
        names = value if isinstance(value, list) else [value]
        return [("telemetry", "metrics", True)] if "prometheus" in names else []
    carry = _CARRIED.get((setting.section, setting.key))
    return [] if carry is None else carry(setting.value)


def _instead(setting: LitellmSetting) -> str:
    if setting.section == "environment_variables":
        return f"set {setting.key} in the environment of the gateway, where something names it"
    if setting.key == "routing_strategy":
        ours = _STRATEGIES.get(str(setting.value))
        if ours:
            return f"say it for an organisation: `clauseway organisation set --strategy {ours}`"
        return "deployments are asked in the order of the file, with what room they have"
    if setting.key in _CALLBACKS:
        return "spans and figures go out by [telemetry]: otlp_endpoint, metrics"
    return _REPORTED.get(setting.key, "nothing here reads it")


def _seconds(key: str) -> Callable[[Any], list[tuple[str, str, object]]]:
    """Return the function that carries a time over, if it is within the bounds of ours."""
    most = {"deadline_s": 86_400, "attempt_timeout_s": 3_600}[key]

    def carried(value: Any) -> list[tuple[str, str, object]]:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return [("gateway", key, float(value))] if is_number and 0 < value <= most else []

    return carried


def _bytes(key: str) -> Callable[[Any], list[tuple[str, str, object]]]:
    def carried(value: Any) -> list[tuple[str, str, object]]:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return [("gateway", key, int(value * _MEGABYTE))] if is_number and value >= 1 else []

    return carried


_CARRIED: Mapping[tuple[str, str], Callable[[Any], list[tuple[str, str, object]]]] = {
    ("litellm_settings", "request_timeout"): _seconds("deadline_s"),
    ("router_settings", "timeout"): _seconds("deadline_s"),
    ("router_settings", "stream_timeout"): _seconds("attempt_timeout_s"),
    ("general_settings", "max_request_size_mb"): _bytes("body_bytes"),
    ("general_settings", "max_response_size_mb"): _bytes("answer_bytes"),
    ("litellm_settings", "json_logs"): lambda value: [
        ("log", "form", "json" if value is True else "auto")
    ],
}
