"""A configuration of LiteLLM with ten models: chat, embeddings, and vendors that no agreement names."""

TEN = """\
model_list:
  - model_name: gpt-5.5
    litellm_params: {model: openai/gpt-5.5, api_key: os.environ/OPENAI_API_KEY}
  - model_name: gpt-5.5
    litellm_params:
      model: azure/prod-55
      api_base: https://contoso.openai.azure.com/
      api_version: "2024-10-21"
      api_key: os.environ/AZURE_API_KEY
      rpm: 600
    model_info: {base_model: azure/gpt-5.5}
  - model_name: fast
    litellm_params: {model: openai/gpt-5.4-mini, temperature: 0.2}
  - {model_name: gpt-5.4, litellm_params: {model: gpt-5.4}}
  - {model_name: gpt-4o, litellm_params: {model: openai/gpt-4o, api_key: sk-live-123}}
  - {model_name: text-embedding-3-small, litellm_params: {model: openai/text-embedding-3-small}}
  - {model_name: text-embedding-3-large, litellm_params: {model: openai/text-embedding-3-large}}
  - {model_name: mistral-large, litellm_params: {model: mistral/mistral-large-latest}}
  - model_name: mistral-embed
    litellm_params: {model: mistral/mistral-embed}
    model_info: {mode: embedding, max_input_tokens: 8192}
  - {model_name: claude-haiku-4-5, litellm_params: {model: anthropic/claude-haiku-4-5}}
litellm_settings:
  drop_params: true
  request_timeout: 120
  callbacks: [otel]
  fallbacks: [{gpt-5.5: [mistral-large]}]
router_settings:
  routing_strategy: latency-based-routing
  model_group_alias: {chat: gpt-5.5}
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
"""
