"""A configuration written for somebody: from three answers, or from LiteLLM's."""
