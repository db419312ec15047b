"""LiteLLM's proxy with one worker, as its page on production sets it: errors logged only, no database. Its Rust core is
switched on as its documentation says (`rust: true`); what that core does not take over yet falls back to Python, among
it chat completions at OpenAI's own format."""

from pathlib import Path

from bench.peers.running import Running, held_port, launch, python_with
from bench.traffic import MODEL, NAME_THERE, SECRET

_PACKAGE = "litellm[proxy]>=1.100"
_CONFIGURATION = """
model_list:
  - model_name: {model}
    litellm_params:
      model: openai/{there}
      api_base: http://127.0.0.1:{cloud}/v1
      api_key: bench
      rust: true
general_settings:
  master_key: {secret}
litellm_settings:
  set_verbose: false
  json_logs: true
  request_timeout: 60
  num_retries: 0
  telemetry: false
"""


def start(cache: Path, home: Path, cloud: int) -> Running | None:
    """The proxy with one model, the cloud's."""
    python = python_with(cache, "litellm", _PACKAGE)
    if python is None:
        return None
    home.mkdir(parents=True, exist_ok=True)
    configuration = home / "config.yaml"
    configuration.write_text(
        _CONFIGURATION.format(model=MODEL, there=NAME_THERE, cloud=cloud, secret=SECRET)
    )
    port = held_port()
    environment = {
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    arguments: list[str | Path] = [
        "--config",
        configuration,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--num_workers",
        "1",
    ]
    return launch([python.with_name("litellm"), *arguments], port, home, environment=environment)
