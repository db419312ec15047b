"""A configuration written for somebody: from three answers, or from LiteLLM's.

beginning          from three answers: where, which models, under which agreements
importing_litellm  from LiteLLM's, with what became of each model and setting
litellm_models     a model of LiteLLM's as a deployment; litellm_settings: its settings
drafts             the text that both write: commented, to be edited
vendors            vendors' servers, and the variables that usually hold their keys
"""
