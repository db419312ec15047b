"""A first configuration of the gateway: from three answers, or from LiteLLM's file.

Knows vendors and LiteLLM's settings; must not know how a gateway serves by the configuration.

beginning          from three answers: where, which models, under which agreements
importing_litellm  from LiteLLM's file, with the fate of each model and setting
litellm_models     a model of LiteLLM's as a deployment; litellm_settings: its settings
drafts             the text that both write: commented, to be edited
vendors            vendors' servers, and the variables that usually hold their keys
"""
