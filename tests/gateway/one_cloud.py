"""The configuration of a served home with one cloud, on a port that is filled in."""

CONFIGURATION = """
[gateway]
port = 0
drain_s = 30

[[deployment]]
name = "azure-1"
dialect = "openai"
url = "http://127.0.0.1:{port}/v1"
cloud = "azure"
seller = "openai"
region = "global"
auth = {{kind = "bearer", secret_file = "key"}}
models = {{"gpt-5.5" = "there"}}
"""
