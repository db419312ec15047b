"""What is done with a header, remembered by its name as it is spelled: to lower each name costs
more, and so does a dictionary, which first hashes it."""

from collections.abc import Callable
from typing import Final

# Whoever makes up ever new spellings cannot make the table grow, nor the chains long.
_SPELLINGS_MAX: Final = 2000
_CHAIN_MAX: Final = 8
_LENGTH_MAX: Final = 63  # longer names share a chain


class _Spelling:
    """A spelling of a header's name, in the chain of those that are as long."""

    def __init__(self, name: bytes, action: int, following: "_Spelling | None") -> None:
        self.name: Final = name
        self.action: Final = action
        self.following: Final = following
        self.count: Final[int] = 1 if following is None else following.count + 1


class HeaderActions:
    """The action for each header. `action_of` tells it for a name in lower case."""

    def __init__(self, action_of: Callable[[bytes], int]) -> None:
        self._action_of = action_of
        self._by_length: list[_Spelling | None] = [None] * (_LENGTH_MAX + 1)
        self._by_spelling: dict[bytes, int] = {}

    def of(self, name: bytes) -> int:
        spelling = self._by_length[min(len(name), _LENGTH_MAX)]
        while spelling is not None:
            if spelling.name == name:
                return spelling.action
            spelling = spelling.following
        return self._of_other(name)

    def _of_other(self, name: bytes) -> int:
        action = self._by_spelling.get(name)
        if action is not None:
            return action
        action = self._action_of(name.lower())
        length = min(len(name), _LENGTH_MAX)
        chain = self._by_length[length]
        if chain is None or chain.count < _CHAIN_MAX:
            self._by_length[length] = _Spelling(name, action, chain)
        elif len(self._by_spelling) < _SPELLINGS_MAX:
            self._by_spelling[name] = action
        return action
