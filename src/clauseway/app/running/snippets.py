"""Snippets to paste and try the gateway: a `curl` command and a few lines of Python, complete as
they stand."""

from clauseway.web import Snippet

_KEY = "YOUR-KEY"


def snippets_for(gateway_url: str, key: str = "") -> tuple[Snippet, ...]:
    """Return both snippets for a gateway at `gateway_url` (it ends in `/v1`); without a key they
    say where it goes."""
    return (
        Snippet(label="curl", text=curl_snippet(gateway_url, key or _KEY)),
        Snippet(label="openai-python", text=python_snippet(gateway_url, key or _KEY)),
    )


def curl_snippet(gateway_url: str, key: str) -> str:
    # curl reads the key from its standard input: arguments are shown to everybody on the machine.
    return (
        f"curl -i {gateway_url}/chat/completions -H @- \\\n"
        "  -H 'Content-Type: application/json' -H 'x-clauseway-cloud: aws' \\\n"
        """  -d '{"model": "gpt-5.5", "messages": [{"role": "user", "content": "Which cloud serves me?"}]}' <<'KEY'\n"""
        f"Authorization: Bearer {key}\n"
        "KEY"
    )


def python_snippet(gateway_url: str, key: str) -> str:
    return (
        "from openai import OpenAI\n"
        f'client = OpenAI(base_url="{gateway_url}", api_key="{key}")\n'
        "answer = client.chat.completions.create(\n"
        '    model="gpt-5.5", messages=[{"role": "user", "content": "Which cloud serves me?"}]\n'
        ")\n"
        "print(answer.choices[0].message.content)"
    )
