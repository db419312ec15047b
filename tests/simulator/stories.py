"""A story: what one seed makes of homes, gateways, clouds, clients and faults, from its begin to its judgement."""

import gc
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import pyarrow

from clauseway.storage import ApiKey, Control
from clauseway.storage.books import losses
from clauseway.storage.customers.leases import usd
from clauseway.storage.customers.tenants import BudgetRow, Limit, Tenants
from memory_folders import memory_folder

from .actors import (
    FOLLOWER,
    Amendment,
    Answer,
    BudgetTerms,
    Clients,
    Cloud,
    CloudCall,
    Customer,
    Gateway,
    Stage,
    Terms,
    VirtualHome,
    follow,
    rescue,
    revoke,
)
from .bookkeeping import Bookkeeper
from .disks import Disks, DiskTrouble
from .laws import SERVES, Ending, Records, Watch, judge
from .network import Network
from .registering import Register, keep_register
from .seams import Replaced, virtual
from .world import BEGIN_NS, SECOND, Machine, Process, World

_ADDRESS: Final = "postgresql://simulated/database"
_GIGA: Final = 10**9
CLOUDS: Final = ("azure", "aws")


class Moment(NamedTuple):
    """A change of a home's files: the call, and how its path reads."""

    name: str
    call: str
    part: str
    end: str


# Stories that have more than the others, by the last digit of their seed: in these a key is revoked, and facts are
# recorded …
_REVOKED: Final = (5, 8)
_RECORDED: Final = (5, 8)
# … in these an amendment takes a cloud away while requests go on, and in these journals are copied to a follower, and
# a home loses its disk.
_AMENDED: Final = (2, 7)
_COPIED: Final = (6,)
# … and these are settled, which takes longer than the story, and again after so many requests that come late.
_SETTLED: Final = (4, 9)
_LATE: Final = 3

_MOMENTS: Final = (
    Moment("a segment begins", "open", "/spools/", ".seg"),
    Moment("a segment is let go of", "unlink", "/spools/", ".seg"),
    Moment("a file of the lake has its name", "rename", "/lake/", ".parquet"),
)


class Outcome(msgspec.Struct, frozen=True):
    """How a story ended: the laws that it broke, with what was seen, and its history."""

    seed: int
    broken: tuple[tuple[str, str], ...]
    operations: int
    faults: dict[str, int]
    answers: dict[str, int]
    history: tuple[str, ...]


# Files of a few rows: more threads would only wait for each other.
pyarrow.set_cpu_count(1)
pyarrow.set_io_thread_count(1)


def tell(seed: int, plant: Callable[[Replaced], None] | None = None) -> Outcome:
    """Let a seed's story happen. `plant` may put a bug into the product before it begins."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        with memory_folder("simulated-") as folder:
            return _Story(seed, folder).tell(plant)
    finally:
        if enabled:
            gc.enable()


@cache
def _template() -> bytes:
    """Return an empty control database."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "control.db"
        Control.open(path).close()
        return path.read_bytes()


class _Story:
    def __init__(self, seed: int, folder: Path) -> None:
        self.world = World(seed)
        self.chance = self.world.chance
        self.database = folder / "control.db"
        self.database.write_bytes(_template())
        self.stage = Stage(self.world, Disks(self.world, folder / "disks"), Network(self.world))
        self.terms = self._terms()
        self.watch = Watch(self.world, self.terms)
        self.calls: list[CloudCall] = []
        self.answers: list[Answer] = []
        self.homes: list[VirtualHome] = []
        self.clouds: list[Cloud] = []
        self.keeps_books = seed % 10 in _SETTLED
        self.revokes_keys = seed % 10 in _REVOKED
        self.records_facts = seed % 10 in _RECORDED
        self.is_amended = seed % 10 in _AMENDED
        self.copies_journals = seed % 10 in _COPIED
        self.follower: Process | None = None
        self.copies = folder / "disks" / FOLLOWER / "copies"
        self.former: dict[VirtualHome, str] = {}  # homes that lost their disk, and how they were named before
        self.rescues: dict[VirtualHome, Process] = {}
        self.register = Register()
        self.is_mended = False  # from its end on no fault happens any more

    @property
    def gateways(self) -> list[Gateway]:
        return [gateway for home in self.homes for gateway in home.gateways]

    def tell(self, plant: Callable[[Replaced], None] | None) -> Outcome:
        stage, replaced = self.stage, Replaced()
        with virtual(self.world, stage.disks, stage.network, self.database):
            try:
                if plant is not None:
                    plant(replaced)
                self.watch.install(replaced)
                # Nobody waits for five minutes to see whether a machine that has lost its disk is heard again.
                replaced.set(losses, "SILENT_NS", 0)
                self._begin()
                self._middle()
                self._end()
            finally:
                replaced.undo()
                self.world.bury()
        return Outcome(
            seed=self.world.seed,
            broken=tuple(self.world.broken),
            operations=self.world.operations,
            faults=dict(sorted(self.world.faults.items())),
            answers=dict(sorted(Counter(f"{each.how} {each.status}" for each in self.answers).items())),
            history=tuple(self.world.history),
        )

    # -- begin

    def _terms(self) -> Terms:
        chance = self.chance
        # In a scarce story budgets are soon used up, and what others hold of them is asked back.
        is_scarce = chance.random() < 0.4
        total, azure, day = ((3, 8), (4, 10), (3, 8)) if is_scarce else ((8, 40), (8, 40), (5, 20))
        budgets = (
            BudgetTerms("bud_total", "acme", chance.randint(*total) * _GIGA, "total"),
            BudgetTerms("bud_azure", "acme", chance.randint(*azure) * _GIGA, "total", "azure"),
            BudgetTerms("bud_day", "brill", chance.randint(*day) * _GIGA, "day"),
        )
        limits = (("lim_few", chance.randint(4, 12)), ("lim_many", chance.randint(15, 60)))
        customers = (
            Customer("acme", (0, 1), ()),
            Customer("brill", (2,), (1,)),
            Customer("corvo", (), (0,)),
            Customer("dune", (), ()),
        )
        return Terms(
            budgets,
            limits,
            customers,
            drain_s=chance.choice((0.5, 3.0)),
            # Small ones are full, sealed and let go of while requests of them are still open.
            segment_bytes=chance.choice((1 << 10, 6 << 10, 6 << 10)),
            upkeep_every_s=chance.choice((2.5, 8.0, 8.0)),
            favourite=chance.choice(("acme", "brill")) if is_scarce else "",
        )

    def _begin(self) -> None:
        world, chance = self.world, self.chance
        control = Control.open(_ADDRESS)
        tenants = Tenants(control)
        for budget in self.terms.budgets:
            tenants.set_budget(
                BudgetRow(
                    id=budget.id,
                    organisation=budget.organisation,
                    cloud=budget.cloud,
                    period=budget.period,
                    amount=usd(budget.amount),
                    currency="USD",
                    created_ns=1,
                )
            )
        for limit, count in self.terms.limits:
            organisation = "corvo" if limit == "lim_few" else "brill"
            tenants.set_limit(
                Limit(id=limit, organisation=organisation, requests_per_minute=count, tokens_per_minute=0, created_ns=1)
            )
        if self.revokes_keys or self.is_amended:
            for customer in self.terms.customers:
                control.add_key(
                    ApiKey(
                        digest=customer.digest,
                        key_id=customer.key_id,
                        organisation=customer.name,
                        project="search",
                        seller="openai",
                        segment="direct",
                        created_ns=1,
                    )
                )
        control.close()
        world.machine("database")
        clouds = CLOUDS
        homes = chance.choice((1, 1, 2))
        lake = None
        if homes > 1 or self.copies_journals:
            # Of object storage: what it has taken it has.
            lake = self.stage.disks.root_of(world.machine("storage")) / "lake"
            lake.mkdir()
        for number in range(homes):
            machine = world.machine(f"home-{'ab'[number]}")
            machine.drift_ppm = chance.randint(-300, 300)
            machine.offset_ns = int(chance.choice((0.0, chance.uniform(-3600, 3600))) * SECOND)
            home = VirtualHome(
                self.stage,
                machine,
                workers=chance.choice((1, 2) if homes == 1 else (1,)),
                terms=self.terms,
                clouds=clouds,
            )
            home.prepare(_ADDRESS, lake, copies=self.copies_journals)
            self.stage.disks.settle(machine)
            home.follows_plan = self.revokes_keys or self.is_amended
            self.homes.append(home)
        if self.copies_journals:
            self._start_follower()
        for home in self.homes:
            home.start()
        self.clouds = [Cloud(self.stage, name, self.calls) for name in clouds]
        for cloud in self.clouds:
            cloud.trouble, cloud.delay_s = chance.choice((0.0, 0.1, 0.4)), chance.choice((0.05, 0.4, 1.5))
        self.world.run_seconds(1.0)
        self.clients = Clients(self.stage, self.homes, self.terms, self.answers)
        self.clients.pace_s = chance.choice((0.5, 1.0))

    # -- middle

    def _middle(self) -> None:
        """Let faults happen for a minute or so."""
        chance = self.chance
        lasts_s = chance.uniform(4, 14)
        for _ in range(chance.randint(1, 5)):
            self.world.after(chance.uniform(0, lasts_s), chance.choice(self._faults()))
        for _ in range(chance.choice((0, 1, 1, 2))):
            self._await_moment()
        if self.revokes_keys:
            self._revoke_later(lasts_s)
        if self.records_facts:
            self._record_facts(lasts_s)
        if self.is_amended:
            self._amend_later(lasts_s)
        if self.copies_journals:
            self._lose_disk_later(lasts_s)
        self.world.run_seconds(lasts_s)
        self.stage.disks.on_change.clear()

    def _revoke_later(self, lasts_s: float) -> None:
        """Have a customer's key revoked at some instant, while requests go on."""
        customers = [each for each in self.terms.customers if each.name == self.terms.favourite]
        home, customer = self._some_home(), self.chance.choice(customers or self.terms.customers)

        def begin() -> None:
            if not home.machine.is_off:
                revoke(self.stage, home, customer, self.watch.revoked)

        self.world.after(self.chance.uniform(0.0, lasts_s * 0.4), begin)

    def _amend_later(self, lasts_s: float) -> None:
        """Have an amendment recorded in all homes, which takes a cloud away at once or soon."""
        chance = self.chance
        at_s, later_s, cloud = chance.uniform(0.0, lasts_s * 0.5), chance.choice((0.0, 2.0, 5.0)), chance.choice(CLOUDS)

        def record() -> None:
            world = self.world
            amendment = Amendment(cloud, world.now_ns, BEGIN_NS + world.now_ns + int(later_s * SECOND))
            world.note(f"an amendment takes {cloud} away in {later_s:g} s")
            self.watch.amendments.append(amendment)
            for home in self.homes:
                home.amend(amendment)

        self.world.after(at_s, record)

    def _start_follower(self) -> None:
        machine = self.world.machine(FOLLOWER)
        self.stage.disks.root_of(machine)
        self.follower = follow(self.stage, machine, self.copies)

    def _kill_follower(self) -> None:
        if self.follower is None or not self.follower.alive or self.is_mended:
            return
        self.world.inject("follower killed")
        self.follower.end()
        lasts_s = self.chance.uniform(0.1, 5.0)
        for home in self.homes:
            self._trouble(home.machine, lasts_s + 3.0)
        self.world.after(lasts_s, self._start_follower)

    def _lose_disk_later(self, lasts_s: float) -> None:
        """Have a home lose its disk at some instant, while requests go on."""
        home = self._some_home()

        def lose() -> None:
            if home.machine.is_off:
                return
            self.world.inject("disk lost", home.name)
            self.watch.lost_disks.add(home.machine.name)
            self.former[home] = home.home.identity()
            home.machine.stop()
            self.stage.disks.lose(home.machine)
            home.is_lost = True
            off_s = self.chance.uniform(0.5, 5.0)
            self._trouble(home.machine, off_s + 3.0)
            self.world.after(off_s, lambda: self._switch_on(home) if home.machine.is_off else None)

        self.world.after(self.chance.uniform(lasts_s * 0.2, lasts_s), lose)
        if self.chance.random() < 0.5:
            self.world.after(self.chance.uniform(0.0, lasts_s), self._kill_follower)

    def _switch_on(self, home: VirtualHome) -> None:
        """Switch a machine on again; where it has lost its disk, with a home made anew and its journals rescued."""
        home.machine.restart()
        if home.is_lost:
            home.begin_anew()
            self._rescue(home)
        home.start()

    def _rescue(self, home: VirtualHome) -> None:
        self.rescues[home] = rescue(self.stage, home, self.former[home], self.copies)

    def _are_rescued(self) -> bool:
        """Return whether all lost journals are recovered; begin again where who does it was killed too."""
        for home, process in list(self.rescues.items()):
            if not process.alive and not process.is_orderly:
                self._rescue(home)
        return all(process.is_orderly for process in self.rescues.values())

    def _record_facts(self, lasts_s: float) -> None:
        """Have facts recorded at all homes, close to each other where there are two."""
        for home in self.homes:
            keep_register(self.stage, home, self.register, self.chance.randint(1, 3), lasts_s / 6)

    def _await_moment(self) -> None:
        """Have a fault happen right after some change of a home's files, or a little later."""
        chance = self.chance
        home, moment = self._some_home(), chance.choice(_MOMENTS)
        fault = chance.choice((self._lose_power, self._lose_power, self._kill_gateway, self._kill_parent))
        delay_s = chance.choice((0.0, 0.001, 0.03, 0.5, 2.0))
        still = [chance.randint(1, 6)]
        folder = str(home.home.root)

        def changed(call: str, path: str) -> None:
            if call == moment.call and path.startswith(folder) and moment.part in path and path.endswith(moment.end):
                still[0] -= 1
                if still[0] == 0:
                    self.world.note(f"the moment has come: {moment.name}")
                    self.world.after(delay_s, lambda: fault(home))

        self.stage.disks.on_change.append(changed)

    def _faults(self) -> list[Callable[[], None]]:
        return [
            self._kill_gateway,
            self._kill_gateway,
            self._kill_parent,
            self._lose_power,
            self._lose_power,
            self._cut_off,
            self._slow_network,
            self._hold_up,
            self._jump_clock,
            self._disk_trouble,
            self._disk_trouble,
            self._replace_gateway,
        ]

    def _some_home(self) -> VirtualHome:
        return self.chance.choice(self.homes)

    def _kill_gateway(self, home: VirtualHome | None = None) -> None:
        gateway = self.chance.choice(home.gateways if home is not None else self.gateways)
        if gateway.process is not None:
            self._kill(gateway.process)

    def _replace_gateway(self) -> None:
        gateway = self.chance.choice(self.gateways)
        if gateway.is_up:
            self.world.inject("gateway replaced", gateway.name)
            gateway.stop()

    def _kill_parent(self, home: VirtualHome | None = None) -> None:
        """Kill a home's parent; its gateways notice and stop by themselves, and it is started again."""
        home = home or self._some_home()
        if home.is_up and home.process is not None and not self.is_mended:
            self.world.inject("parent killed", home.name)
            home.process.end()
            for gateway in home.gateways:
                gateway.stop()
            self.world.after(self.chance.uniform(0.1, 6.0), lambda: self._start(home))

    def _start(self, home: VirtualHome) -> None:
        if not home.is_up and not home.machine.is_off:
            home.start()

    def _lose_power(self, home: VirtualHome | None = None) -> None:
        home = home or self._some_home()
        if home.machine.is_off or self.is_mended:
            return
        home.machine.stop()
        touched = self.stage.disks.lose_power(home.machine)
        self.world.inject("power lost", f"{home.name}, {touched} files and names not as they were")
        lasts_s = self.chance.uniform(0.5, 8.0)
        self._trouble(home.machine, lasts_s + 1.0)

        def on_again() -> None:
            if not home.machine.is_off:  # it was mended at the story's end
                return
            home.machine.restart()
            self.stage.disks.trouble.pop(home.machine.name, None)
            home.start()

        self.world.after(lasts_s, on_again)

    def _trouble(self, machine: Machine, lasts_s: float) -> None:
        now_ns = self.world.now_ns
        self.watch.troubled.append((now_ns, now_ns + int(lasts_s * SECOND), machine.name))

    def _cut_off(self) -> None:
        home = self._some_home()
        other = self.world.machine(self.chance.choice(("database", "database", "outside", "azure", "aws")))
        lasts_s = self.chance.uniform(0.5, 15.0)
        self.world.inject("partition", f"{home.name} {other.name}")
        self.stage.network.cut(home.machine, other)
        self._trouble(home.machine, lasts_s + 1.0)
        self.world.after(lasts_s, lambda: self.stage.network.heal(home.machine, other))

    def _slow_network(self) -> None:
        self.world.inject("network slow")
        self.stage.network.slow_s = self.chance.choice((0.05, 0.4, 1.5))
        lasts_s = self.chance.uniform(1.0, 12.0)
        for home in self.homes:
            self._trouble(home.machine, lasts_s + 5.0)
        self.world.after(lasts_s, lambda: setattr(self.stage.network, "slow_s", 0.0))

    def _hold_up(self) -> None:
        """Hold up a gateway's word to the database; the gateway may be gone when it is heard."""
        home = self._some_home()

        def held_up(process: Process) -> None:
            self.world.inject("word held up", process.name)
            if self.chance.random() < 0.8:
                self.world.after(self.chance.uniform(0.0, 1.0), lambda: self._kill(process))

        self.stage.network.next_held_up[home.machine.name] = held_up

    def _kill(self, process: Process) -> None:
        if process.alive and not self.is_mended:
            self.world.inject("gateway killed", process.name)
            process.end()

    def _jump_clock(self) -> None:
        home = self._some_home()
        seconds = self.chance.choice((-1.0, 1.0)) * self.chance.choice((0.5, 5.0, 90.0, 3600.0, 50_000.0))
        home.machine.offset_ns += int(seconds * SECOND)
        self.world.inject("clock jumps", f"{home.name} by {seconds:g} s")

    def _disk_trouble(self) -> None:
        home = self._some_home()
        kind = self.chance.choice(("disk full", "disk full", "disk slow", "disk fails"))
        self.world.inject(kind, home.name)
        trouble = DiskTrouble(
            is_full=kind == "disk full",
            is_slow=kind == "disk slow",
            fails=kind == "disk fails",
            copies=self.chance.random() < 0.75,
        )
        self.stage.disks.trouble[home.machine.name] = trouble
        lasts_s = self.chance.uniform(0.3, 10.0)
        self._trouble(home.machine, lasts_s + 3.0)

        # Whoever sees a full disk may start things again before there is room.
        if kind == "disk full" and self.chance.random() < 0.75:
            fault = self.chance.choice((self._kill_gateway, self._lose_power))
            self.world.after(lasts_s * 0.9, lambda: fault(home))

        def in_order() -> None:
            self.stage.disks.trouble.pop(home.machine.name, None)
            if kind == "disk fails":
                # A journal that failed stays closed: somebody changes the disk and starts the process again.
                for gateway in home.gateways:
                    gateway.stop()

        self.world.after(lasts_s, in_order)

    # -- end

    def _end(self) -> None:
        """Mend everything, see that all serve again, stop in order, and judge."""
        world = self.world
        self.clients.stops = True
        for cloud in self.clouds:
            cloud.trouble, cloud.delay_s = 0.0, 0.05
        world.run_seconds(5.0)
        self.is_mended = True
        self.stage.network.heal_all()
        self.stage.disks.trouble.clear()
        for home in self.homes:
            if home.machine.is_off:
                self._switch_on(home)
            self._start(home)
        if self.follower is not None and not self.follower.alive:
            self._start_follower()
        self._until(lambda: not self.clients.process.alive, 45.0)
        self._until(self._are_rescued, 45.0)
        if not self._are_rescued():
            world.breaks(SERVES, "the journals of a lost disk are not recovered")
        self._until(lambda: all(gateway.serves for gateway in self.gateways), 10.0)
        for gateway in self.gateways:
            if not gateway.serves:
                world.breaks(SERVES, f"{gateway.name} does not serve")
        bookkeeper = Bookkeeper(self.stage, self.homes) if self.keeps_books else None
        if bookkeeper is not None:
            bookkeeper.begin()
            self.clients.come_again(_LATE)
            self._until(lambda: not self.clients.process.alive, 45.0)
        for home in self.homes:
            home.stops = True
        self._until(lambda: not any(home.is_up for home in self.homes), 30.0)
        for home in self.homes:
            if home.is_up:
                world.breaks(SERVES, f"{home.name} does not stop")
        settled = None if bookkeeper is None else bookkeeper.end()
        control = Control.open(_ADDRESS)
        records = Records.read(control, self.homes, {budget.id: budget.amount for budget in self.terms.budgets})
        control.close()
        home, gateways = self.homes[0], self.gateways
        judge(
            Ending(
                world, self.watch, self.terms, records, self.calls, self.answers, gateways, settled, self.register, home
            )
        )

    def _until(self, is_so: Callable[[], bool], seconds_max: float) -> None:
        """Let time pass until something is so, or for so long."""
        end_ns = self.world.now_ns + int(seconds_max * SECOND)
        while self.world.now_ns < end_ns and not is_so():
            self.world.run_seconds(0.5)
