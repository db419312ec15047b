"""Citations: the clause of a statement, its file and line, and the public source behind it."""

import msgspec


class Citation(msgspec.Struct, frozen=True, kw_only=True):
    """A place in an agreement's text (or in its register of facts) that a decision or an amount
    rests on.

    `term` is the identifier of the typed term or fact; `amendment` the document's id (`A5`),
    `facts` for a fact; `document` the file's path relative to the agreement's folder; `line` counts
    from 1; `source` names the public statement the text rests on; `text` says in one sentence what
    it says.
    """

    term: str
    amendment: str
    document: str
    line: int
    source: str
    text: str

    def __str__(self) -> str:
        place = f"{self.document}:{self.line}; {self.source}"
        return f"{self.amendment} {self.term} ({place}): {self.text}"
