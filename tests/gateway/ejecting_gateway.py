"""The gateway, which ejects a deployment that fails for a minute: what follows is still within it on a busy machine.

Started with -E, from the sources: what is compiled holds the length of an ejection as a constant.
"""

import runpy

from clauseway.gateway.routing import health

vars(health)["_EJECTED_S"] = vars(health)["_EJECTED_MAX_S"] = 60.0
runpy.run_module("clauseway.gateway", run_name="__main__", alter_sys=True)
