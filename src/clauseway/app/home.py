"""Where one installation keeps its things: a folder with a control database, spools, the lake, and what it was told."""

import os
import secrets
from pathlib import Path

import msgspec

# Where nothing else is said: `--home`, else this variable, else a folder beside the caller.
VARIABLE = "CLAUSEWAY_HOME"
DEFAULT = ".clauseway"


class Home(msgspec.Struct, frozen=True):
    """The paths under one home. Nothing is made until it is needed."""

    root: Path

    @property
    def control(self) -> Path:
        return self.root / "control.db"

    @property
    def lake(self) -> Path:
        return self.root / "lake"

    @property
    def spools(self) -> Path:
        return self.root / "spool"

    @property
    def plan(self) -> Path:
        return self.root / "plan.json"

    @property
    def configuration(self) -> Path:
        return self.root / "clauseway.toml"

    @property
    def gateway_socket(self) -> Path:
        return self.root / "gateway.sock"

    @property
    def lease_socket(self) -> Path:
        return self.root / "leases.sock"

    @property
    def clock(self) -> Path:
        return self.root / "business-clock"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def make(self) -> "Home":
        """Create the folder, readable by its owner only: it holds keys."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)
        return self

    def hash_key(self) -> str:
        """The key that customers' secrets are hashed with, in hex; made at first use and kept beside the database."""
        path = self.root / "hash.key"
        if not path.exists():
            self.make()
            fresh = self.root / f"hash.key.{os.getpid()}"
            fresh.write_text(secrets.token_hex(32), "ascii")
            fresh.chmod(0o600)
            try:
                os.link(fresh, path)  # whoever is first wins; nobody overwrites
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        return path.read_text("ascii").strip()


def home_at(folder: Path | str | None) -> Home:
    """The home that a command was given, or the default one."""
    return Home(Path(folder or os.environ.get(VARIABLE) or DEFAULT).absolute())
