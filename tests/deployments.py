"""A deployment as a configuration writes it, for tests that send nothing to its cloud."""

# Nothing listens at port 9 (discard).
NOWHERE = "http://127.0.0.1:9/v1"
BEARER = '{kind = "bearer", secret = "x"}'


def deployment(
    name: str = "direct",
    *,
    cloud: str = "azure",
    region: str = "global",
    auth: str = BEARER,
    models: str = '{"gpt-5.5" = "gpt-5.5"}',
) -> str:
    """The `[[deployment]]` of a cloud that speaks as OpenAI does, sold by OpenAI."""
    return f"""
[[deployment]]
name = "{name}"
dialect = "openai"
url = "{NOWHERE}"
cloud = "{cloud}"
seller = "openai"
region = "{region}"
auth = {auth}
models = {models}
"""
