"""Find text that looks like a block and is not read as one, so that no term vanishes.

People who read the rendered page would take such text for a term. Each place is a mistake with its
line.
"""

import re
from collections.abc import Collection, Sequence

from markdown_it.token import Token

from clauseway.agreement.text.mistakes import Mistakes

# The words after `yaml` that open a block, in the singular and in the plural.
_BLOCK_WORDS = frozenset(
    {"definitions", "definition", "term", "terms", "change", "changes", "fact", "facts"}
)
# The languages of a block's text. A fence that names one is never taken for an example.
_LANGUAGES = ("yaml", "yml")
# A line that begins with two or more backticks or tildes, within a list or quotation too.
_FENCE_LINE = re.compile(r"^[\s>*+\-\d.)]*(`{2,}|~{2,})(.*)$")
# The words behind a fence: a language, a kind of block, and hardly more.
_WORDS_MAX = 4
_KEY = r"""(?:^|[\s{{,\[-])["']?{key}["']?[ \t]*:"""
_ID = re.compile(_KEY.format(key="id"), re.MULTILINE)
_KIND = re.compile(_KEY.format(key="kind"), re.MULTILINE)
_CHANGE = re.compile(_KEY.format(key="(?:ends|sets-end)"), re.MULTILINE)
_SOURCE = re.compile(_KEY.format(key="(?:source|effective|party|products)"), re.MULTILINE)
# Prose may speak of an id and a kind. Lines that begin with these keys are a term without a fence.
_LINES_OF_TERM = (
    re.compile(r"^id:\s", re.MULTILINE),
    re.compile(r"^(?:kind|ends|sets-end):\s", re.MULTILINE),
)
# Tokens whose content is shown as it stands, and not read as prose.
_SHOWN = ("fence", "code_block", "html_block")
_AROUND = ("blockquote_open", "list_item_open")
# Nobody nests lists deeper. The parser follows further, so that nothing is dropped unseen.
DEPTH_MAX = 8
# A list adds two levels to a token: itself and its item.
_LEVEL_MAX = 2 * DEPTH_MAX


def check_unread(
    lines: Sequence[str],
    tokens: Sequence[Token],
    read: Collection[int],
    first_line: int,
    mistakes: Mistakes,
) -> None:
    """Report each place that looks like a block and is not read as one.

    `read` holds the lines of blocks, counted from 0.
    """
    reported = _check_fence_lines(lines, tokens, read, first_line, mistakes)
    for index, token in enumerate(tokens):
        line = token.map[0] if token.map else 0
        if token.level > _LEVEL_MAX:
            why, remedy = (
                "nothing in it would be read",
                "Write it at the margin, as a clause of its own.",
            )
            mistakes.add(
                first_line + line, f"a list or quotation more than {DEPTH_MAX} deep", why, remedy
            )
            return
        # Reported already, or a block that is read.
        if line in read or _was_reported(token, reported):
            continue
        is_prose = token.type == "paragraph_open" and all(
            pattern.search(tokens[index + 1].content) for pattern in _LINES_OF_TERM
        )
        if is_prose or (token.type in _SHOWN and _looks_like_a_block(token.content)):
            why = "it would be shown to people and have no effect"
            remedy = "Open it with ```yaml term (or change, definitions, facts), or delete it."
            mistakes.add(
                first_line + line, "this looks like a term and is not read as one", why, remedy
            )


def _check_fence_lines(
    lines: Sequence[str],
    tokens: Sequence[Token],
    read: Collection[int],
    first_line: int,
    mistakes: Mistakes,
) -> set[int]:
    """Report and return each line that names a kind of block behind a fence but opens no block."""
    reported = set()
    for number, line in enumerate(lines):
        match = _FENCE_LINE.match(line)
        if match and number not in read and _names_a_block(match[1], match[2]):
            why, remedy = _why_no_block(number, tokens)
            mistakes.add(
                first_line + number, f"{line.strip(' >*+-')!r} does not open a block", why, remedy
            )
            reported.add(number)
    return reported


def _names_a_block(fence: str, info: str) -> bool:
    if len(fence) == 2 and fence[0] in info:
        return False  # two backticks and two more: code within a sentence
    words = re.findall(r"[a-z]+", info.lower())
    names = not _BLOCK_WORDS.isdisjoint(words) or words[:1] in ([word] for word in _LANGUAGES)
    return 0 < len(words) <= _WORDS_MAX and names


_FORM = "Write ```yaml term (or change, definitions, facts) at the margin, on a line of its own"


def _why_no_block(number: int, tokens: Sequence[Token]) -> tuple[str, str]:
    """Return why a line opens no block, and what to write instead."""
    around = [token for token in tokens if token.map and token.map[0] <= number < token.map[1]]
    if any(token.type == "html_block" for token in around):
        why = "it stands in a comment or other HTML, and nothing in there is executed"
        return why, f"Delete it. If it should have an effect: {_FORM}, outside the HTML."
    if any(token.type in _AROUND for token in around):
        why = "it stands in a list or quotation, and people could take it for a term in force"
        return why, f"Tell in words what was quoted. If it should have an effect: {_FORM}."
    why = "a block opens with three backticks at the margin, then yaml, then its kind"
    return why, f"{_FORM}, or delete it."


def _was_reported(token: Token, reported: Collection[int]) -> bool:
    """Return whether a line of this token was reported already."""
    first, end = token.map or (0, 0)
    return any(first <= number < end for number in reported)


def _looks_like_a_block(content: str) -> bool:
    has_id, has_kind = bool(_ID.search(content)), bool(_KIND.search(content))
    return (has_id and (has_kind or bool(_CHANGE.search(content)))) or (
        has_kind and bool(_SOURCE.search(content))
    )
