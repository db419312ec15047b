"""A home: the folder in which one installation keeps its control database, spools, lake, keys and
configuration."""

import hashlib
import os
import re
import secrets
import shlex
import stat
import tempfile
from pathlib import Path

import msgspec

from clauseway.files import PRIVATE, close_to_others, make_folder, write_first
from clauseway.files.folders import list_folder, list_tree
from clauseway.files.presence import is_folder, is_there
from clauseway.values import InvalidInput, Problem

# Where nothing else is said: `--home`, else this variable, else a folder beside the caller.
VARIABLE = "CLAUSEWAY_HOME"
DEFAULT = ".clauseway"
_SOCKET_BYTES_MAX = 100  # Linux takes 107, others 103
# Room for the longest name: all sockets of a home lie in one folder.
_SOCKET_NAME_BYTES = 16
_GATEWAY = "gateway"
IDENTITY_FILE = "home.id"
_IDENTITY = re.compile(rb"[0-9a-f]{16}")

# Fills a home with two settled months, in a folder of its own.
DEMONSTRATION = "clauseway init --demo statements"


class Home(msgspec.Struct, frozen=True):
    """The paths under one home. Nothing is made until it is needed.

    `served_identity`: this process serves the home of that identity, which was begun. Where its
    folder or its control data is gone, FileNotFoundError is raised, and no other home is begun in
    its place; where another home lies there, InvalidInput.
    """

    root: Path
    served_identity: str = ""

    def served(self) -> "Home":
        """Return this home, which has an identity, as whoever serves it opens it. Raise as
        `identity` does; of a home that is gone, FileNotFoundError."""
        return msgspec.structs.replace(
            self, served_identity=_identity_in(self.root / IDENTITY_FILE)
        )

    @property
    def control(self) -> Path | str:
        """Return the place of the control database: a file of the home, or the address that
        `migrate` wrote there. Raise InvalidInput if that is no text, or if the control data is gone
        and something else of the home is there."""
        if self.served_identity:
            self.identity()
        try:
            return self.database_address.read_text("utf-8").strip()
        except (FileNotFoundError, NotADirectoryError):
            place = self.embedded_control
            # A new database would have no keys: a gateway that hears of that refuses everybody.
            if self.served_identity:
                place.stat()
            self._require_control_data(place)
            return place
        except UnicodeDecodeError:
            problem = Problem(
                what="the address of the database is not valid",
                why="the file is not text (UTF-8)",
                where=str(self.database_address),
                remedy="Write it there as postgresql://USER:PASSWORD@HOST/DATABASE.",
            )
            raise InvalidInput(problem) from None

    def _require_control_data(self, place: Path) -> None:
        """Raise InvalidInput where the control data of a home is gone. Another one would be begun
        in its place, with no key and no usage, and all of it would look sound."""
        if is_there(place) and place.stat().st_size:
            return
        if is_there(self.migrated_control):
            why = f"{place.name} was moved to a server, and {self.database_address.name} is gone"
            remedy = (
                f"Write the server's address into {self.database_address}: "
                "postgresql://USER:PASSWORD@HOST/DATABASE."
            )
        elif any(path.suffix == ".parquet" for path in list_tree(self.lake)):
            state = "is empty" if is_there(place) else "is gone"
            why = f"{place.name} {state}, and the lake holds usage that it listed"
            remedy = (
                "Restore the home from its latest backup: clauseway home restore FOLDER --home PLACE "
                "--take-over. To begin another home, name another folder."
            )
        else:
            return
        raise InvalidInput.of(
            what="the control data of this home is gone",
            why=why,
            where=str(self.root),
            remedy=remedy,
        )

    @property
    def may_be_shared(self) -> bool:
        """Return whether other homes may use the same control database."""
        return isinstance(self.control, str)

    @property
    def embedded_control(self) -> Path:
        return self.root / "control.db"

    @property
    def migrated_control(self) -> Path:
        """Return the path under which a control database is kept that was moved to a server."""
        return self.root / "control.db.migrated"

    @property
    def database_address(self) -> Path:
        """Return the path of the file with the address of the server's database, which may hold
        a password."""
        return self.root / "database.url"

    @property
    def is_begun(self) -> bool:
        """Return whether anything was ever recorded here: the control database is in place. Raise
        InvalidInput as `control` does."""
        if is_there(self.database_address):
            return True
        if not self.served_identity:
            self._require_control_data(self.embedded_control)
        return is_there(self.embedded_control)

    @property
    def lake(self) -> Path:
        return self.root / "lake"

    @property
    def lake_place(self) -> Path:
        """Return the path of the file that names object storage as the place of the lake's files;
        the folder then holds copies."""
        return self.root / "lake.toml"

    @property
    def copies(self) -> Path:
        """Return the folder of the copies that a follower keeps, where no other is named."""
        return self.root / "copies"

    @property
    def spools(self) -> Path:
        return self.root / "spool"

    @property
    def plan(self) -> Path:
        return self.root / "plan.json"

    @property
    def configuration(self) -> Path:
        return self.root / "clauseway.toml"

    def gateway_journal(self, number: int) -> Path:
        """Return the folder of a gateway's journal; several workers have one each, from 0."""
        return self.spools / (f"{_GATEWAY}-{number}" if number else _GATEWAY)

    def journals(self, names: str = "*") -> list[Path]:
        """Return the folders of journals that are there, in order, of names like these. Raise
        OSError."""
        return [path for path in list_folder(self.spools, names) if is_folder(path)]

    def gateway_journals(self) -> list[Path]:
        """Return those of gateways. Raise OSError."""
        return self.journals(f"{_GATEWAY}*")

    @property
    def gateway_socket(self) -> Path:
        return self.gateway_socket_of(_GATEWAY)

    def gateway_socket_of(self, journal: str) -> Path:
        """Return the control socket of the process that writes the journal of that name."""
        return self._socket(f"{journal}.sock")

    def gateway_sockets(self) -> list[Path]:
        """Return the control sockets that are there; a process that died may have left its own."""
        return list_folder(self.gateway_socket.parent, f"{_GATEWAY}*.sock")

    @property
    def lease_socket(self) -> Path:
        return self._socket("leases.sock")

    @property
    def clock(self) -> Path:
        return self.root / "business-clock"

    @property
    def damages(self) -> Path:
        """Return the path of the counts of damages, by kind, for the gateway's figures."""
        return self.root / "damages.json"

    @property
    def revocations(self) -> Path:
        """Return the path of the digests of secrets that were ended while the home is served, for
        its gateways; its time is when the database was last reached."""
        return self.root / "revocations"

    @property
    def pages_away(self) -> Path:
        """Return the path of the reason why a home is served without its pages, while it is."""
        return self.root / "pages-away.txt"

    @property
    def lake_faults(self) -> Path:
        """Return the path of the faults that the last checks found in files of the lake."""
        return self.root / "lake-faults.json"

    @property
    def keys(self) -> Path:
        """Return the folder of the private keys that parties sign with, for its owner alone."""
        return self.root / "keys"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def refused_by(self, journal: str) -> Path:
        """Return the path of the requests that the gateway with this journal refused of late."""
        return self.logs / f"{journal}-refused.jsonl"

    def _socket(self, name: str) -> Path:
        """Return the path of a unix socket.

        An address has room for some hundred bytes: a deep home has its sockets elsewhere.
        """
        is_near = len(os.fsencode(self.root)) + 1 + _SOCKET_NAME_BYTES <= _SOCKET_BYTES_MAX
        return (self.root if is_near else self._far) / name

    @property
    def _far(self) -> Path:
        """Return a folder of this user for the sockets of this home alone."""
        named = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"clauseway-{os.getuid()}-{named}"

    def _make_far(self) -> None:
        """Raise InvalidInput where somebody else was there first: what is said there is nobody
        else's business."""
        self._far.mkdir(mode=0o700, exist_ok=True)
        # lstat, because a link to a folder of this user's would pass as that folder.
        status = self._far.lstat()
        if (
            status.st_uid != os.getuid()
            or not stat.S_ISDIR(status.st_mode)
            or status.st_mode & 0o077
        ):
            why = (
                "the home lies too deep for its sockets, and the folder that they go to is not "
                "this user's alone"
            )
            remedy = "Remove that folder, or name a home with a shorter path with --home."
            raise InvalidInput.of(
                what="no place for sockets", why=why, where=str(self._far), remedy=remedy
            )

    def make(self) -> "Home":
        """Create the folder, readable by its owner only: it holds keys."""
        if self.served_identity:
            return self  # made when it was begun; in its place may be an empty mount point
        if not is_there(self.root):
            make_folder(self.root)
        close_to_others(self.root)
        if self.gateway_socket.parent != self.root or self.lease_socket.parent != self.root:
            self._make_far()
        return self

    def identity(self) -> str:
        """Return what names this home among those that share its database; made at first use.

        Raise InvalidInput if the file is damaged, because an empty name would be every home's, or
        if it is not that of the home which is served.
        """
        path = self.root / IDENTITY_FILE
        if not self.served_identity and not is_there(path):
            self.make()
            write_first(path, secrets.token_hex(8).encode(), mode=PRIVATE)
        identity = _identity_in(path)
        if self.served_identity not in ("", identity):
            raise _another_home(path)
        return identity

    @property
    def hash_key_path(self) -> Path:
        return self.root / "hash.key"

    def hash_key(self) -> str:
        """Return the key that customers' secrets are hashed with, in hex; made at first use and
        kept beside the database."""
        path = self.hash_key_path
        # An empty mount point may have taken the place of a home that is served.
        if not self.served_identity and not is_there(path):
            self.make()
            write_first(path, secrets.token_hex(32).encode(), mode=PRIVATE)
        return path.read_text("ascii").strip()


def _identity_in(path: Path) -> str:
    identity = path.read_bytes().strip()
    if not _IDENTITY.fullmatch(identity):
        raise _damaged_identity(path)
    return identity.decode("ascii")


def _damaged_identity(path: Path) -> InvalidInput:
    """Return the refusal of a home whose identity cannot be read."""
    return InvalidInput.of(
        what="home.id is damaged",
        why="it is not 8 bytes in hex; by it the home knows its journals and its gateways' leases",
        where=str(path),
        remedy="Put it back from a backup. Where there is none, stop what serves this home and "
        "remove the file: the home gets another identity, and `clauseway serve` takes over the "
        "journals in its folder.",
    )


def _another_home(path: Path) -> InvalidInput:
    """Return the refusal of a home that came into the place of the one that is served."""
    return InvalidInput.of(
        what="another home lies in the place of the one that is served",
        why="home.id is another one's; a disk may have been mounted over the folder, and what is "
        "served keeps its journal under it",
        where=str(path),
        remedy="Stop `clauseway serve`, take the other home away, and run `clauseway spool list` on "
        "what lies under it; then start again at the home that is meant.",
    )


def not_begun(home: Home) -> InvalidInput:
    """Return the refusal of a home in which nothing was recorded: an empty answer would look like
    a true one."""
    why = "the folder is no home yet" if is_folder(home.root) else "there is no such folder"
    remedy = (
        f"Name it with --home or in {VARIABLE}; what records something makes one: "
        f"`clauseway serve`, `usage import`. `{DEMONSTRATION}{home_flag(home)}` fills it with two settled "
        "months to try."
    )
    return InvalidInput.of(
        what="nothing was ever recorded there", why=why, where=str(home.root), remedy=remedy
    )


def home_at(folder: Path | str | None) -> Home:
    """Return the home that a command was given, or the default one: `CLAUSEWAY_HOME`, else
    `.clauseway` in the working directory. Nothing is made or read.

    `~` is the user's folder: shells leave it in `--home=~/data`, and a folder of that name would be
    made.

    >>> from clauseway import home_at
    >>> print(home_at("/srv/clauseway").root)
    /srv/clauseway
    """
    named = os.path.expanduser(folder or folder_in(VARIABLE) or DEFAULT)
    return Home(Path(named).absolute())


def folder_in(variable: str) -> str:
    """Return the folder that a variable of the environment names, empty where it names none. Raise
    InvalidInput if it is blank: a folder of that name would be made."""
    named = os.environ.get(variable, "")
    if named and not named.strip():
        raise InvalidInput.of(
            what=f"{named!r} is no folder",
            why="it is blank",
            where=variable,
            remedy="Write the folder's path, or unset the variable.",
        )
    return named


def is_named(folder: Path | str | None) -> bool:
    """Return whether somebody named the home, by flag or environment, instead of leaving it to
    the default."""
    return bool(folder or os.environ.get(VARIABLE))


def home_flag(home: Home) -> str:
    """Return ` --home FOLDER` for a command that a person pastes, and nothing where the command
    takes that home without it."""
    return "" if home.root == home_at(None).root else f" --home {shlex.quote(str(home.root))}"
