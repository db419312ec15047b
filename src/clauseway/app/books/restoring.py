"""Restore a home from a backup, to be read beside the one that was backed up, or in its place.

Restored      a home that was restored: of which moment, what was done to it, and what is not in it

Every file is held against its digest while it is copied. The home has an identity of its own, and
its journals are never written again: gateways begin others, so no range of frames has two contents.
See docs/choices/0141.
"""

import asyncio
import secrets
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import msgspec

from clauseway import spool
from clauseway.app.books.backups import (
    ABOUT,
    AGREEMENTS,
    CONTROL,
    HASH_KEY,
    JOURNALS,
    KEYS,
    LAKE,
    OF_THE_HOME,
    RESOURCE_INDEX,
    SMALL_FILES,
    Backup,
    damaged,
    foreign,
    look_at,
    unlisted,
)
from clauseway.app.opening.home import Home
from clauseway.app.opening.restored import Origin, write_origin
from clauseway.app.usage.losses import instant
from clauseway.app.usage.recovering import end_open_attempts
from clauseway.app.usage.sealing import seal
from clauseway.files import force_folder
from clauseway.files.counted_copies import copy_hashed
from clauseway.files.folders import force_folders, list_folder
from clauseway.files.presence import is_folder, is_there
from clauseway.gateway.request.resource_index import INDEX_FILE, ResourceIndex
from clauseway.metering import RequestId
from clauseway.spool.segments import list_segments
from clauseway.spool.writer import close_copy
from clauseway.storage import Control
from clauseway.storage.books.losses import RESTORED, Loss, Losses, Spool
from clauseway.storage.control.audit_check import check
from clauseway.storage.control.sqlite_check import damage_in
from clauseway.storage.customers.leases import NOBODY, LeaseRequest, Leases, usd
from clauseway.storage.lake.file_list import every_file, forget
from clauseway.values import InvalidInput, Problem, checked_reason, day_of, refuse_any

_PART = ".restore-part"
_NAME_LENGTH = 8


class HeldBudget(msgspec.Struct, frozen=True, kw_only=True):
    """A budget of whose present period nothing more is granted: the `amount` that was left."""

    budget: str
    amount: Decimal


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """A home that was restored.

    `missing` names the parts that are not in it. If the home takes over, `lost_attempts` were open at
    the moment, `leases` of budgets count as spent, `held` are the amounts that were left of budgets,
    and `losses` are recorded for usage after the moment. `problems` are those that the log of its
    books shows.
    """

    home: str
    moment: str
    files: int
    bytes: int
    journals: int
    takes_over: bool
    missing: tuple[str, ...]
    lost_attempts: int = 0
    leases: int = 0
    held: tuple[HeldBudget, ...] = ()
    losses: int = 0
    problems: tuple[Problem, ...] = ()


class TakingOver(msgspec.Struct, frozen=True, kw_only=True):
    """That the home that was backed up is gone for good, and `why`. With `keeps_budgets`, what was
    left of budgets at the backup's moment may be spent."""

    why: str
    keeps_budgets: bool = False


def restore(root: Path, home: Home, over: TakingOver | None = None) -> Restored:
    """Write a home from a backup; with `over`, in the place of the home that was backed up.

    Raise InvalidInput: the folder is no backup, files of it are damaged, a later program wrote it,
    or the home's folder holds something. Then nothing is left there.
    """
    if over is not None:
        checked_reason(
            over.why, "the home keeps the reason for which the one that was backed up is gone"
        )
    backup = look_at(root)
    part = _begun(home, backup)
    try:
        written = _copy(backup, part.root)
        _refuse_damaged_database(backup, part)
        restored = _made_anew(part, backup, over)
        _appear(part.root, home.root)
    # An interrupt too must leave nothing behind.
    except BaseException:
        shutil.rmtree(part.root, ignore_errors=True)
        raise
    return msgspec.structs.replace(
        restored, home=str(home.root), files=len(backup.digests), bytes=written
    )


def _begun(home: Home, backup: Backup) -> Home:
    """Return a home in a folder within the one that is to be filled. Raise InvalidInput where that
    holds anything but what a broken-off restore left."""
    part, root = home.root / _PART, home.root
    there = list(root.iterdir()) if is_folder(root) else []
    # The control data comes last, so a restore that broke off left none.
    is_part = is_folder(part) and not is_there(home.embedded_control)
    left = _left_by_a_restore(backup) if is_part else frozenset()
    if (is_there(root) and not is_folder(root)) or any(path.name not in left for path in there):
        remedy = "Name a folder with --home that is empty, or not there yet."
        why = "a restore overwrites nothing"
        raise InvalidInput.of(what="the home is not empty", why=why, where=str(root), remedy=remedy)
    for path in there:
        shutil.rmtree(path) if is_folder(path) else path.unlink()
    home.make()
    return Home(part).make()


def _left_by_a_restore(backup: Backup) -> frozenset[str]:
    """Return the names in a home's folder that a restore may have written before it broke off."""
    places = {_place(backup, name).partition("/")[0] for name in backup.digests}
    return frozenset({_PART, *OF_THE_HOME, *places})


def _copy(backup: Backup, part: Path) -> int:
    """Copy every file to its place in the home and hold it against its digest; return the bytes.

    Raise InvalidInput with every file that is damaged, missing or not on the list.
    """
    names = [name for name in sorted(backup.digests) if name != ABOUT]
    # A list could name any path, so each name is placed before a byte is written.
    problems = [foreign(backup.root, name) for name in names if not _place(backup, name)]
    refuse_any(problems)
    written = 0
    for name in names:
        target = part / _place(backup, name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            content = copy_hashed(backup.root / name, target)
        # The list may name what is not there, and a file below another file.
        except (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError):
            problems.append(damaged(backup.root, name, backup.digests[name], ""))
            continue
        if content.digest != backup.digests[name]:
            problems.append(damaged(backup.root, name, backup.digests[name], content.digest))
        written += content.bytes
    # A file that the list does not name has no digest to be held against.
    problems += [damaged(backup.root, name, "", "") for name in unlisted(backup)]
    refuse_any(problems)
    return written


def _refuse_damaged_database(backup: Backup, part: Home) -> None:
    """Raise InvalidInput where the control data is no database, though its digest fits: it was
    damaged before it was backed up, or somebody altered the backup."""
    if damage := damage_in(part.root / CONTROL):
        raise InvalidInput.of(
            what=f"the backup is damaged: {CONTROL}",
            why=f"it is not a whole database: {damage}",
            where=str(backup.root / CONTROL),
            remedy="Take an earlier backup, or another copy of this one.",
        )


def _place(backup: Backup, name: str) -> str:
    """Return where a file of a backup lies in the home; empty for a file that no backup holds."""
    folder, _, rest = name.partition("/")
    if name == RESOURCE_INDEX:
        return f"spool/gateway/{INDEX_FILE}"
    if folder == JOURNALS:
        journal, _, file = rest.partition("/")
        restored = _restored_names(backup).get(journal, "")
        return f"spool/{restored}/{file}" if restored and file else ""
    if folder == AGREEMENTS:
        # A folder of its own, beside those that the home makes.
        own, _, file = rest.partition("/")
        return rest if file and own not in OF_THE_HOME and not own.startswith(".") else ""
    is_known = name in (CONTROL, HASH_KEY, *SMALL_FILES) or (rest and folder in (LAKE, KEYS))
    return name if is_known else ""


def _restored_names(backup: Backup) -> dict[str, str]:
    """Return the folder of each journal in the restored home, by its folder in the backup.

    No gateway writes a folder of that name, so no journal is continued beside its original.
    """
    names: dict[str, str] = {}
    counts: dict[str, int] = defaultdict(int)
    for journal in backup.about.journals:
        name = f"{RESTORED}{journal.spool[:_NAME_LENGTH]}"
        counts[name] += 1
        names[journal.place] = name if counts[name] == 1 else f"{name}-{counts[name]}"
    return names


def _made_anew(part: Home, backup: Backup, over: TakingOver | None) -> Restored:
    """Give the restored home an identity, and its journals an end; take over if that is wanted."""
    about, now_ns = backup.about, time.time_ns()
    journals = [part.spools / name for name in _restored_names(backup).values()]
    for journal in journals:
        _close(journal)
    with closing(Control.open(part.root / CONTROL)) as control:
        registered = _hand_over(control, part, about.home, journals)
        # Nobody reads a retired file any more, and none was backed up.
        forget(control, [file.name for file in every_file(control) if file.is_retired])
        problems = check(control).problems
    restored = Restored(
        home="",
        moment=about.moment,
        files=0,
        bytes=0,
        journals=len(journals),
        takes_over=over is not None,
        missing=tuple(_missing(part, backup)),
        problems=problems,
    )
    if over is not None:
        restored = _taken_over(part, restored, over, registered, about.moment_ns)
    write_origin(
        part,
        Origin(
            moment=about.moment,
            restored=instant(now_ns),
            home=about.home,
            backup=backup.digest,
            takes_over=over is not None,
            why=over.why.strip() if over is not None else "",
        ),
    )
    return restored


def _close(journal: Path) -> None:
    """Write the closing frames that a running gateway had not written. What is damaged stays as it
    is."""
    segments = {segment.number: segment for segment in list_segments(journal)}
    for place in spool.positions(journal):
        if not place.closed and not place.damages:
            close_copy(segments[place.segment])


def _hand_over(control: Control, part: Home, former: str, journals: Sequence[Path]) -> list[Spool]:
    """Enter the journals as this home's, at their new folders; return those of gateways as the
    backup knew them."""
    losses = Losses(control)
    losses.hand_over(former, part.identity())
    gateways = []
    for journal in reversed(journals):
        identity = spool.identity_of(journal)
        registered = losses.spool(identity.hex()) if identity is not None else None
        if registered is not None:
            if registered.place.startswith("gateway"):
                gateways.append(registered)
            losses.saw(msgspec.structs.replace(registered, place=journal.name))
    return gateways


def _missing(part: Home, backup: Backup) -> Iterator[str]:
    """Yield what is not in a restored home, each a sentence."""
    about = backup.about
    yield (
        f"All that was recorded after {about.moment}: usage, keys made, rotated and revoked, "
        "budgets, facts, settlements, closes."
    )
    if not about.has_keys:
        yield (
            "hash.key and the private keys of parties: the backup was made without --with-keys. Put "
            "hash.key into the home before it is served, or no customer's key is accepted."
        )
    elif not is_there(part.root / HASH_KEY):
        yield (
            "hash.key: the home that was backed up had none. Customers' keys that were made with one "
            "are accepted with that one alone."
        )
    for name in about.left:
        yield f"{name}: it lay in the home, and no backup takes what it does not know."


def _taken_over(
    part: Home, restored: Restored, over: TakingOver, gateways: Sequence[Spool], moment_ns: int
) -> Restored:
    """Let a home take the place of the one that was backed up: nothing that the other one may have
    spent or metered is spent or metered again."""
    now_ns = time.time_ns()
    with closing(Control.open(part.root / CONTROL)) as control:
        leases = _end_leases(control, now_ns)
        held = () if over.keeps_budgets else tuple(_hold_budgets(control, now_ns))
        losses = list(_losses(control, part, gateways, moment_ns, now_ns))
    journals = list_folder(part.spools, f"{RESTORED}*")
    lost = sum(
        end_open_attempts(part, journal, journal.with_name(f"{journal.name}-ends"))
        for journal in journals
    )
    index = part.spools / "gateway" / INDEX_FILE
    if is_there(index):
        asyncio.run(_decide_claims(index, journals))
    seal(part)
    with closing(Control.open(part.root / CONTROL)) as control:
        Losses(control).record(losses)
    return msgspec.structs.replace(
        restored, lost_attempts=lost, leases=leases, held=held, losses=len(losses)
    )


def _end_leases(control: Control, now_ns: int) -> int:
    """End the slices of gateways' budgets, each wholly spent: nobody knows what became of it.

    Pending batches keep theirs: the restored home meters them.
    """
    leases = Leases(control)
    of_gateways = [lease for lease in leases.open() if lease.pid != NOBODY]
    return sum(leases.end(lease, lease.gone, now_ns) for lease in of_gateways)


def _hold_budgets(control: Control, now_ns: int) -> Iterator[HeldBudget]:
    """Take what is left of each budget in the present period, as spent."""
    leases = Leases(control)
    for standing in leases.standings(now_ns):
        if standing.left <= 0:
            continue
        # A lease that nobody holds takes the rest and ends as spent, by the rules of every lease.
        request = LeaseRequest(
            budget=standing.budget.id,
            boot=secrets.token_hex(8),
            part=0,
            pid=NOBODY,
            serial=1,
            spent=0,
            least=standing.left,
            target=standing.left,
            is_over=False,
        )
        leases.lease([request], now_ns)
        for lease in leases.of_boot(request.boot):
            leases.end(lease, lease.leased, now_ns)
            yield HeldBudget(budget=standing.budget.id, amount=usd(lease.leased))


def _losses(
    control: Control, part: Home, gateways: Sequence[Spool], moment_ns: int, now_ns: int
) -> Iterator[Loss]:
    """Yield what gateways may have metered after the moment, so that statements say so.

    One for each journal that a gateway wrote at the moment; where none did, for the first, which
    the next gateway would have written.
    """
    written = [journal for journal in gateways if not journal.is_at_rest]
    first = min(gateways, key=lambda journal: journal.place, default=None)
    for journal in written or ([first] if first is not None else []):
        place = Losses(control).spool(journal.spool)
        places = spool.positions(part.spools / place.place) if place is not None else ()
        segment = places[-1].segment if places else max(journal.segment, 0)
        end = places[-1].end if places else control.sealed_to(journal.spool, segment)
        yield Loss(
            spool=journal.spool,
            segment=segment,
            first_frame=end,
            end_frame=-1,
            reason=f"the home was restored from a backup of {instant(moment_ns)}; what its "
            "gateways metered after that is not in it",
            first_day=day_of(min(moment_ns, now_ns)),
            last_day=day_of(now_ns),
            lost_ns=now_ns,
        )


async def _decide_claims(index: Path, journals: Sequence[Path]) -> None:
    """Decide what gateways had claimed at the moment: the usage is in their journal, or is metered
    anew."""
    loop = asyncio.get_running_loop()
    for journal in journals:
        identity = spool.identity_of(journal)
        if identity is None:
            continue
        resource_index = ResourceIndex(index, loop, identity.hex())
        claims = resource_index.claims()
        asked = {request: RequestId.parse(request) for request in claims.values()}
        recorded = spool.unended(journal, asked.values()).recorded
        resource_index.resolve(
            claims, {request for request, name in asked.items() if name in recorded}
        )
        resource_index.flush()
        resource_index.close()


def _appear(part: Path, root: Path) -> None:
    """Move everything to its place. INVARIANT: the control data last: without it, it is no home."""
    force_folders(part)
    paths = sorted(path for path in part.iterdir() if not path.name.endswith(".lock"))
    for path in sorted(paths, key=lambda path: path.name == CONTROL):
        path.rename(root / path.name)
    force_folder(root)
    shutil.rmtree(part)
