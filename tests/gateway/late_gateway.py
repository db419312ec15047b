"""A gateway's process that begins once somebody has opened a named pipe and closed it again: `GATE` names it."""

import os
import runpy
from pathlib import Path

if __name__ == "__main__":
    Path(os.environ["GATE"]).read_bytes()
    runpy.run_module("clauseway.gateway", run_name="__main__", alter_sys=True)
