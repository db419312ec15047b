"""One way to answer: as JSON for machines, or as text for people."""

from collections.abc import Callable
from typing import Any

from clauseway.cli.output import print_json, print_text


def answer(as_json: bool, value: Any, text: str | Callable[[], object]) -> None:
    """Print a value as JSON, or the text about it. `text` may be the function that prints it.

    A text is printed as it is: nothing in it is taken for markup, and no line is broken.
    """
    if as_json:
        print_json(value)
    elif isinstance(text, str):
        print_text(text)
    else:
        text()
