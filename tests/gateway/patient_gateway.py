"""The gateway, with as much patience for its lease server as a busy machine needs.

Started with -E, from the sources: what is compiled holds its patience as a constant.
"""

import runpy

from clauseway.gateway.budgets import allowances

vars(allowances)["_PATIENCE_S"] = 60.0
runpy.run_module("clauseway.gateway", run_name="__main__", alter_sys=True)
