r"""Letters of a JSON body that are written as their numbers: `\u0430` is one letter in six bytes."""


def may_have_escapes(body: bytes) -> bool:
    r"""Return whether a letter of `body` may be written as its number; every `\u` counts, also one
    that follows a backslash of its own."""
    # A pair of bytes is looked for byte by byte; most bodies have no backslash, which costs next to
    # nothing to see. `partition` is the cheapest search to call: `in` raises and drops an error
    # within Python 3.11 before it looks, and `find` packs its arguments.
    return body.partition(b"\\")[1] != b"" and body.find(b"\\u") >= 0


def text_bytes(body: bytes) -> int:
    """Return how many bytes the text of a JSON body can have: letters that are written as their
    numbers stand for two or three. No token has less than a byte."""
    if not may_have_escapes(body):
        return len(body)
    text = body.replace(b"\\\\", b"")  # a backslash before a `u` of its own
    twos = sum([text.count(b"\\u0%d" % digit) for digit in range(8)])
    return len(body) - 3 * text.count(b"\\u") - twos
