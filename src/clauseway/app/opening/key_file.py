"""The file of the keys that a home trusts, beside the register in its books that decides.

`party-keys.json` shows people and other tools what the home vouches for. Older homes
have no register, and only this file.
"""

import msgspec

from clauseway.app.opening.home import Home
from clauseway.files import write_whole
from clauseway.storage import Control
from clauseway.storage.books.party_keys import has_keys, keys_of
from clauseway.values import Problem

_NAME = "party-keys.json"
_TRUST = msgspec.json.Decoder(dict[str, tuple[str, ...]])
_TODO = "Trust a key with `clauseway party key trust`, which writes the file anew from the books."
KeysByName = dict[str, tuple[str, ...]]


def read_key_file(home: Home) -> KeysByName | str:
    """Return the keys that the file names, by party; or why it cannot be read.

    No file names none.
    """
    try:
        return _TRUST.decode((home.root / _NAME).read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        return str(error)


def write_key_file(home: Home, keys: KeysByName) -> None:
    """Write the file from the register, whole or not at all."""
    content = msgspec.json.format(msgspec.json.encode(keys, order="sorted"))
    write_whole(home.root / _NAME, content)


def key_file_problems(home: Home, control: Control) -> tuple[Problem, ...]:
    """Return a problem for each key in which the file differs from the register in the books."""
    registered, where = keys_of(control), str(home.root / _NAME)
    key_file = read_key_file(home)
    if isinstance(key_file, str):
        problem = "the file of trusted keys cannot be read"
        return (Problem(what=problem, why=key_file, where=where, remedy=_TODO),)
    if not has_keys(control):
        return ()  # a home of before: the first use of a key takes the file over
    problems = []
    for party in sorted({*key_file, *registered}):
        there, held = set(key_file.get(party, ())), set(registered.get(party, ()))
        for key in sorted(there - held):
            why = "nobody recorded that this home trusts it, and it is not trusted"
            problem = f"the key {key} of {party} was added to the file of trusted keys"
            problems.append(Problem(what=problem, why=why, where=where, remedy=_TODO))
        for key in sorted(held - there):
            why = "the books say that this home trusts it"
            problem = f"the key {key} of {party} was taken out of the file of trusted keys"
            problems.append(Problem(what=problem, why=why, where=where, remedy=_TODO))
    return tuple(problems)
