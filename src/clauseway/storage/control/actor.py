"""The acting person, whom records of the home name.

Until people sign in, the account of the operating system stands for the person. The environment
(`USER`, `LOGNAME`) is not used: anybody can set it.
"""

import os
import pwd


def acting() -> str:
    """Return the name of the account that this process runs as, or `uid N` if it has no name."""
    account = os.getuid()
    try:
        return pwd.getpwuid(account).pw_name
    except KeyError:
        return f"uid {account}"
