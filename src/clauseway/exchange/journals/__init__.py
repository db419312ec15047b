"""The journal for other programs. `accounting` chooses entries and names accounts for all of them."""
