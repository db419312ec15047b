"""Usage in other people's formats. `files` finds a file's format and reads it; `reports` holds the
rows that all readers make, not yet believed, each with the line it came from.
"""
