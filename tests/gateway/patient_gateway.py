"""The gateway, with as much patience for its lease server and its sources of credentials as a busy machine needs.

Started with -E, from the sources: what is compiled holds its patience as a constant.
"""

import runpy

from clauseway.gateway.budgets import allowances
from clauseway.gateway.process import presenting

vars(allowances)["_PATIENCE_S"] = vars(presenting)["_START_S_MAX"] = 60.0
runpy.run_module("clauseway.gateway", run_name="__main__", alter_sys=True)
