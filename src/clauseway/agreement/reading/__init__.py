"""From documents to an `Agreement` and its facts, or to a list of every mistake in them.

    definitions ─┐
    amendments ──┴ sequence ─ reader ─▶ Agreement
    registers, recorded, suppositions ─▶ facts

`blocks` turns an entry of YAML into a record, field by field. `checks` holds a record against the
definitions.
"""
