"""The gateway, which ejects a deployment that fails for as many seconds as the first argument says.

For a minute: what follows is still within it on a busy machine. For none: each request to the deployment is a probe.

Started with -E, from the sources: what is compiled holds the length of an ejection as a constant.
"""

import runpy
import sys

from clauseway.gateway.routing import health

vars(health)["_EJECTED_S"] = vars(health)["_EJECTED_MAX_S"] = float(sys.argv.pop(1))
runpy.run_module("clauseway.gateway", run_name="__main__", alter_sys=True)
