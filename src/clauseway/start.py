"""`python -m clauseway.start MODULE …`: the processes of ours that other processes start.

A start is mostly loading modules: their objects live as long as the process, and each look of the
garbage collector walks all of those before, which was a third of a start. So it does not look
while they are loaded, and leaves them out of all later looks.
"""

import gc
import importlib
import sys
from types import ModuleType


def load(name: str) -> ModuleType:
    """Import a module and what it imports, out of the garbage collector's sight."""
    if name in sys.modules:
        return sys.modules[name]
    looking = gc.isenabled()
    gc.disable()
    try:
        module = importlib.import_module(name)
        gc.freeze()
    finally:
        if looking:
            gc.enable()
    return module


def main() -> int:
    """Run the `main` of a module, or of a package's `__main__`, with the arguments behind its name;
    return its exit code."""
    program = load(sys.argv[1])
    if hasattr(program, "__path__"):
        program = load(f"{program.__name__}.__main__")
    code: int = program.main(sys.argv[2:])
    return code


if __name__ == "__main__":
    sys.exit(main())
