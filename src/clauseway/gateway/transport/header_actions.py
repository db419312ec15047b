"""What is done with a header, remembered by its name as it is spelled: to lower each name costs
more."""

from collections.abc import Callable
from typing import Final

# Whoever makes up ever new spellings cannot make the table grow.
_SPELLINGS_MAX: Final = 2000


class HeaderActions:
    """The action for each header. `action_of` tells it for a name in lower case."""

    def __init__(self, action_of: Callable[[bytes], int]) -> None:
        self._action_of = action_of
        self._by_spelling: dict[bytes, int] = {}

    def of(self, name: bytes) -> int:
        action = self._by_spelling.get(name)
        return self._of_new(name) if action is None else action

    def _of_new(self, name: bytes) -> int:
        action = self._action_of(name.lower())
        if len(self._by_spelling) < _SPELLINGS_MAX:
            self._by_spelling[name] = action
        return action
