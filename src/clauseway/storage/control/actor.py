"""The acting person, whom records of the home name.

The account of the operating system stands for the person. The environment (`USER`, `LOGNAME`) is
not used: anybody can set it.
"""

import os
import pwd
from pathlib import Path

# The kernel keeps the account that logged in, also beyond `sudo`: whoever runs a command as the
# home's owner stays who they are. Only a privileged process can change it.
LOGIN_ACCOUNT = Path("/proc/self/loginuid")
_NOBODY_LOGGED_IN = 2**32 - 1


def acting() -> str:
    """Return the name of the account that logged in, or `uid N` if it has no name.

    Where none did, as under systemd, it is the account that this process runs as.
    """
    account = _logged_in()
    if account is None:
        account = os.getuid()
    try:
        return pwd.getpwuid(account).pw_name
    except KeyError:
        return f"uid {account}"


def _logged_in() -> int | None:
    try:
        account = int(LOGIN_ACCOUNT.read_text("ascii"))
    except (OSError, ValueError):
        return None
    return None if account == _NOBODY_LOGGED_IN else account
