"""Core dumps: files with a process's whole memory, and so with every secret in it."""

import resource


def forbid_core_dumps() -> None:
    """Let neither this process nor those that it starts write a core dump.

    The hard limit goes too: nothing in them can raise it again without privileges.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
