"""Codes of SQLite's errors."""


def primary_code(error: object) -> int:
    """Return the primary code of an error of SQLite, 0 of any other. An extended code, which names
    the system call, adds to it in its higher bits."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
