"""Actors of a story: homes with their gateways, clouds that answer as they please, and clients."""

import asyncio
import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy.exc import DBAPIError

from clauseway.app.customers.keys import revoke_key
from clauseway.app.customers.leasing import lease_server
from clauseway.app.customers.tenants import tenancy_for_plan
from clauseway.app.opening.home import Home
from clauseway.app.running.plan_inputs import InputsState, PlanInputs, stamps
from clauseway.app.running.planning import write_plan
from clauseway.app.usage.losses import write_off
from clauseway.app.usage.recovering import copies_in, recover
from clauseway.app.usage.sealing import open_lake, seal
from clauseway.app.usage.usage_journals import register_spool
from clauseway.gateway.plan import Auth, Budget, Epoch, Key, Plan, RateLimit, Route, Target
from clauseway.gateway.plan.file import encode_plan
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Copying, Settings
from clauseway.gateway.process.server import ProcessOptions, Server
from clauseway.gateway.request.shared import Worker
from clauseway.gateway.routing.key_digests import digest
from clauseway.metering import Deployment, Ruling
from clauseway.spool import SpoolBusy, SpoolWriter
from clauseway.spool.follower import Follower
from clauseway.storage.books.losses import Losses
from clauseway.values import InvalidInput

from .disks import Disks
from .loops import process_of
from .network import Network, VirtualListener
from .world import Machine, Process, World

HASH_KEY: Final = "5a" * 32
MODEL = PRODUCT = "gpt-5.4"
INPUT_PRICE, OUTPUT_PRICE = 2_500_000, 15_000_000
SECRET: Final = "f" * 32
FOLLOWER: Final = "follower"
FOLLOWER_PORT: Final = 8410
_PORT: Final = 8400


class Stage(NamedTuple):
    """The stage that all actors of a story share."""

    world: World
    disks: Disks
    network: Network


class Customer(NamedTuple):
    """A customer's key, and the limit and budgets that hold for it."""

    name: str
    budgets: tuple[int, ...]
    limits: tuple[int, ...]

    @property
    def secret(self) -> str:
        return f"sk-{self.name}"

    @property
    def key_id(self) -> str:
        return f"key_{self.name}"

    @property
    def digest(self) -> str:
        return digest(bytes.fromhex(HASH_KEY), self.secret.encode()).hex()


class BudgetTerms(NamedTuple):
    """A budget of an organisation, perhaps for one cloud only; its amount in picodollars."""

    id: str
    organisation: str
    amount: int
    period: str
    cloud: str = ""


class Amendment(NamedTuple):
    """An amendment that takes a cloud away: since when the home has it recorded, in the world's time, and from which
    instant on it is in force."""

    cloud: str
    recorded_ns: int
    in_force_ns: int


class Terms(NamedTuple):
    """Terms of customers in a story: budgets and limits by their place, and customers."""

    budgets: tuple[BudgetTerms, ...]
    limits: tuple[tuple[str, int], ...]  # id, requests a minute
    customers: tuple[Customer, ...]
    drain_s: float = 3.0
    segment_bytes: int = 6 << 10
    upkeep_every_s: float = 8.0
    favourite: str = ""  # whose key every second request has


def _name_secret(cloud: str) -> str:
    """Put a cloud's secret into the environment, as operators do; return its name there."""
    name = f"SECRET_OF_{cloud.upper()}"
    os.environ[name] = f"sk-{cloud}"
    return name


def plan_of(
    terms: Terms, clouds: tuple[str, ...], leases: str, copying: Copying, amendments: Sequence[Amendment] = ()
) -> Plan:
    """Return the plan of a home's gateways: every cloud permitted, in order, until an amendment takes it away."""
    targets = tuple(
        Target(
            label=Deployment(f"{cloud}-1", cloud, "openai", "koreacentral", PRODUCT, MODEL),
            dialect="openai",
            url=f"http://{cloud}:80/v1",
            auth=Auth(kind="bearer", taken={"secret": f"env:{_name_secret(cloud)}"}),
            input_price=INPUT_PRICE,
            output_price=OUTPUT_PRICE,
            output_tokens_max=400,
        )
        for cloud in clouds
    )
    keys = tuple(
        Key(
            digest=customer.digest,
            organisation=customer.name,
            project="search",
            key_id=customer.key_id,
            seller="openai",
            segment="direct",
            limits=customer.limits,
            budgets=customer.budgets,
        )
        for customer in terms.customers
    )
    return Plan(
        agreement="simulated",
        hash_key=HASH_KEY,
        models={MODEL: PRODUCT},
        targets=targets,
        rulings=(Ruling("permitted-1", "permitted", ("A5.any-cloud",), "receipt"),),
        epochs=(
            _epoch(0, clouds, clouds),
            *(
                _epoch(each.in_force_ns, clouds, tuple(cloud for cloud in clouds if cloud != each.cloud))
                for each in amendments
            ),
        ),
        keys=keys,
        leases=leases,
        limits=tuple(RateLimit(id=name, whose="somebody", requests_per_minute=count) for name, count in terms.limits),
        budgets=tuple(Budget(id=budget.id, whose=budget.id, cloud=budget.cloud) for budget in terms.budgets),
        attempt_timeout_s=6.0,
        deadline_s=12.0,
        # No simulated time passes while a loop turns: a process that looks for bytes would never stop.
        settings=Settings(limits=Limits(drain_s=terms.drain_s, retries=1000, busy_polling_us=0), journal=copying),
    )


def _epoch(begin_ns: int, clouds: tuple[str, ...], permitted: tuple[str, ...]) -> Epoch:
    candidates = tuple((index, 0) for index, cloud in enumerate(clouds) if cloud in permitted)
    return Epoch(begin_ns=begin_ns, routes={f"openai|{PRODUCT}|direct": Route(candidates=candidates)})


class Gateway:
    """One of a home's gateways: a journal, and the process that writes it at present."""

    def __init__(self, stage: Stage, home: "VirtualHome", number: int) -> None:
        self.stage, self.home, self.number = stage, home, number
        self.name = f"{home.name}/gateway-{number}"
        self.journal = home.home.gateway_journal(number)
        self.address = (home.name, _PORT + number)
        self.process: Process | None = None
        self.server: Server | None = None
        self.deaths = 0

    @property
    def is_up(self) -> bool:
        return self.process is not None and self.process.alive

    @property
    def serves(self) -> bool:
        return self.stage.network.is_listening(self.address)

    def start(self) -> None:
        options = ProcessOptions(
            plan=self.home.home.plan,
            spool=self.journal,
            host=self.address[0],
            port=self.address[1],
            worker=Worker(self.number, self.home.workers),
            shares_limits=True,
        )
        self.server = Server(options, partial(SpoolWriter, segment_bytes=self.home.terms.segment_bytes))
        self.process = process_of(self.stage.world, self.stage.network, self.home.machine, self.name, self._serve)

    async def _serve(self) -> None:
        assert self.server is not None
        try:
            await self.server.run()
        except (InvalidInput, SpoolBusy, OSError) as error:
            # Its parent reads this on its standard error, and starts it again.
            self.stage.world.note(f"{self.name} ended: {type(error).__name__}")

    def stop(self) -> None:
        """Ask it to stop, as SIGTERM does."""
        self._signal(Server.stop)

    def reload(self) -> None:
        """Ask it to read its plan anew, as SIGHUP does."""
        self._signal(Server.reload)

    def _signal(self, handler: Callable[[Server], None]) -> None:
        if self.is_up and self.server is not None and self.process is not None and self.process.loop is not None:
            self.process.loop.call_soon(handler, self.server)


class VirtualHome:
    """A home: its parent process with the lease server and the upkeep, and its gateways."""

    def __init__(self, stage: Stage, machine: Machine, *, workers: int, terms: Terms, clouds: tuple[str, ...]) -> None:
        self.stage, self.machine, self.workers = stage, machine, workers
        self.name = machine.name
        self.home = Home(stage.disks.root_of(machine) / "home")
        self.process: Process | None = None
        self.gateways = [Gateway(stage, self, number) for number in range(workers)]
        self.stops = False
        self.terms, self._clouds = terms, clouds
        self._address, self._copies = "", False
        self._lake: Path | None = None
        self.follows_plan = False  # its keys in the database and the amendments: else the plan stays as it is
        self.amendments: list[Amendment] = []
        self._amended = stage.disks.root_of(machine) / "amended"
        self.is_lost = False  # its disk, and nobody has put another one there

    def prepare(self, address: str, lake: Path | None, *, copies: bool) -> None:
        """Write what a home has before it serves. Homes that share a database share the place of the `lake`. With
        `copies`, an answer ends when its usage is on the follower's disk too."""
        self._address, self._lake, self._copies = address, lake, copies
        self.home.make()
        self.home.spools.mkdir()
        if lake is None:
            self.home.lake.mkdir()
        else:
            self.home.lake.symlink_to(lake)
        self.home.database_address.write_text(address)
        self.home.identity()
        if copies:
            self._secret.write_text(SECRET)
        self.home.plan.write_bytes(b"".join(encode_plan(self._plan())))

    def begin_anew(self) -> None:
        """Put an empty disk where the lost one was, and make a home on it: another home, of the same database."""
        self.is_lost = False
        self.prepare(self._address, self._lake, copies=self._copies)
        self.stage.disks.settle(self.machine)

    @property
    def _secret(self) -> Path:
        return self.home.root / "follower.secret"

    def _plan(self) -> Plan:
        copying = Copying()
        if self._copies:
            copying = Copying(
                copies=1, follower=f"{FOLLOWER}:{FOLLOWER_PORT}", secret_file=str(self._secret), when_away="refuse"
            )
        return plan_of(self.terms, self._clouds, str(self.home.lease_socket), copying, self.amendments)

    @property
    def is_up(self) -> bool:
        return self.process is not None and self.process.alive

    def start(self) -> None:
        self.process = self.stage.world.spawn(self.machine, f"{self.name}/parent", self._run)

    def _run(self) -> None:
        """Do as `clauseway serve` does, round by round."""
        world = self.stage.world
        while True:
            try:
                with lease_server(self.home):
                    self._serve()
                    return
            except Exception as error:
                # The database or the disk: a real parent ends, and is started again by its supervisor.
                if not _is_operating_fault(error):
                    raise
                world.note(f"{self.name}: the parent failed: {type(error).__name__}")
                world.pause(1.0)

    def _serve(self) -> None:
        world = self.stage.world
        next_round_s = 0.0
        if self.follows_plan:
            self._take_over()
            assert world.current is not None
            world.thread(world.current, self._follow_plan)
        while not self.stops:
            for gateway in self.gateways:
                if not gateway.is_up:
                    self._start_gateway(gateway)
            if world.now_ns / 1e9 >= next_round_s:
                self._seal()
                next_round_s = world.now_ns / 1e9 + self.terms.upkeep_every_s * world.chance.uniform(0.5, 1.5)
            world.pause(0.5)
        for gateway in self.gateways:
            gateway.stop()
        while any(gateway.is_up for gateway in self.gateways):
            world.pause(0.5)
        self._seal()

    def _follow_plan(self) -> None:
        """Look for changes as `serve` does, and have the gateways read the plan made of them."""
        world = self.stage.world
        inputs = PlanInputs(self.home, self._inputs, None, lambda text: world.note(f"{self.name}: {text[:60]}"))
        while True:
            world.pause(0.25)
            if inputs.changed():
                try:
                    self._take_over()
                except Exception as error:
                    if not _is_operating_fault(error):
                        raise
                    world.note(f"{self.name} could not take over: {type(error).__name__}")
                    inputs.missed()

    def _inputs(self) -> InputsState:
        return InputsState((tenancy_for_plan(self.home), tuple(self.amendments)), stamps([self._amended]))

    def amend(self, amendment: Amendment) -> None:
        """Record the amendment in the home, and write a file for it as a person writes the configuration."""
        self.amendments.append(amendment)
        self._amended.touch()
        os.utime(self._amended, ns=(amendment.recorded_ns, amendment.recorded_ns))

    def _take_over(self) -> None:
        accepted = {key.key_id for key in tenancy_for_plan(self.home).keys}
        plan = self._plan()
        keys = tuple(key for key in plan.keys if key.key_id in accepted)
        write_plan(msgspec.structs.replace(plan, keys=keys), self.home.plan)
        for gateway in self.gateways:
            gateway.reload()

    def _seal(self) -> None:
        """Seal as a served home's upkeep does: what cannot be sealed now is tried again."""
        try:
            for damage in seal(self.home).damages:
                self.stage.world.note(f"{self.name}: damage: {damage[:120]}")
        except Exception as error:
            if not _is_operating_fault(error):
                raise
            self.stage.world.note(f"{self.name} could not seal: {type(error).__name__}")

    def _start_gateway(self, gateway: Gateway) -> None:
        try:
            register_spool(self.home, gateway.journal)
            gateway.start()
            self.stage.world.pause(0.2)
            register_spool(self.home, gateway.journal)
        except Exception as error:
            if not _is_operating_fault(error):
                raise
            self.stage.world.note(f"{gateway.name} was not registered: {type(error).__name__}")


def _is_operating_fault(error: Exception) -> bool:
    return isinstance(error, (OSError, DBAPIError, InvalidInput))


def revoke(stage: Stage, home: VirtualHome, customer: Customer, revoked: dict[str, int]) -> Process:
    """Revoke a customer's key, again and again until it is done; it is written down since when it is."""

    def run() -> None:
        while True:
            try:
                revoke_key(home.home, customer.key_id)
                break
            except Exception as error:
                if not _is_operating_fault(error):
                    raise
                stage.world.pause(1.0)
        revoked[customer.name] = stage.world.now_ns
        stage.world.note(f"{customer.key_id} is revoked")

    return stage.world.spawn(home.machine, f"{home.name}/operator", run)


def rescue(stage: Stage, home: VirtualHome, former: str, copies: Path) -> Process:
    """Recover the journals of the home that was lost, `former`, from their copies, as the runbook says; again and again
    until all are."""

    def run() -> None:
        names: set[str] = set()  # also those at which the command was broken off: it is given again
        while True:
            try:
                names |= set(_lost_journals(home, former))
                for name in sorted(names):
                    if name in {copy.spool for copy in copies_in(copies)}:
                        recover(home.home, copies, name, "the disk is gone")
                    else:
                        # Its gateway never reached the follower, and so acknowledged nothing.
                        write_off(home.home, name, "nothing", "the disk is gone, and there is no copy")
                stage.world.note(f"the journals of {former} are recovered")
                return
            except Exception as error:
                if not _is_operating_fault(error):
                    raise
                stage.world.note(f"not recovered yet: {error}".partition("\n")[0][:120])
                stage.world.pause(1.0)

    return stage.world.spawn(home.machine, f"{home.name}/operator", run)


def _lost_journals(home: VirtualHome, former: str) -> list[str]:
    with open_lake(home.home) as lake:
        losses = Losses(lake.control)
        written_off = losses.written_off()
        return [
            spool.spool
            for spool in losses.spools()
            if spool.is_of(former) and not spool.is_at_rest and spool.spool not in written_off
        ]


def follow(stage: Stage, machine: Machine, folder: Path) -> Process:
    """Start a follower of journals."""

    def run() -> None:
        world = stage.world
        assert world.current is not None
        follower = Follower(folder, SECRET.encode(), lambda text: world.note(f"follower: {text[:60]}"))
        listener = VirtualListener(world, stage.network, world.current, (machine.name, FOLLOWER_PORT))
        follower.serve(listener)  # type: ignore[arg-type]

    return stage.world.spawn(machine, f"{machine.name}/follower", run)


# -- clouds


class CloudCall(msgspec.Struct):
    """A request as a cloud saw it: its tag, the units that it said it used, and whether it said so to the end."""

    tag: str
    cloud: str
    at_ns: int
    upstream_id: str
    input_tokens: int
    output_tokens: int
    reported: bool = False


class Cloud:
    """A cloud: answers well, late, with errors, in parts or not at all."""

    def __init__(self, stage: Stage, name: str, calls: list[CloudCall]) -> None:
        self._stage, self.name, self._calls = stage, name, calls
        self.trouble = 0.15
        self.delay_s = 0.4
        self.process = process_of(stage.world, stage.network, stage.world.machine(name), name, self._serve)

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        assert self._stage.world.current is not None

        def connected() -> asyncio.Protocol:
            reader = asyncio.StreamReader(loop=loop)
            return asyncio.StreamReaderProtocol(reader, self._connected, loop=loop)

        self._stage.network.serve_loop(self._stage.world.current, loop, (self.name, 80), connected)
        await loop.create_future()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(_header(head, b"content-length") or 0))
                if not await self._answer(_header(head, b"x-client-request-id"), json.loads(body), writer):
                    return
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, tag: str, asked: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection goes on."""
        world, chance = self._stage.world, self._stage.world.chance
        units = (chance.randint(5, 60), chance.randint(1, int(asked.get("max_tokens", 100))))
        call = CloudCall(tag, self.name, world.now_ns, f"up-{len(self._calls)}", *units)
        self._calls.append(call)
        world.operations += 1
        await asyncio.sleep(chance.expovariate(1 / self.delay_s))
        trouble = chance.choice(("error", "busy", "drop", "stall", "cut")) if chance.random() < self.trouble else ""
        if trouble:
            world.faults[f"cloud: {trouble}"] += 1
        usage = {"prompt_tokens": units[0], "completion_tokens": units[1], "total_tokens": sum(units)}
        named = f"content-type: application/json\r\nx-request-id: {call.upstream_id}\r\n".encode()
        if trouble in ("error", "busy"):
            status = b"500 Sorry" if trouble == "error" else b"429 Later"
            writer.write(b"HTTP/1.1 %b\r\n%bcontent-length: 2\r\n\r\n{}" % (status, named))
            return True
        if trouble == "drop":
            writer.transport.abort()
            return False
        if trouble == "stall":
            await asyncio.sleep(30)
            return False
        if asked.get("stream"):
            return await self._stream(call, usage, writer, cut=trouble == "cut")
        answer = json.dumps(
            {
                "id": "c1",
                "object": "chat.completion",
                "created": 1,
                "model": MODEL,
                "usage": usage,
                "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Yes."}}],
            }
        ).encode()
        if trouble == "cut":
            writer.write(b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n" % (named, len(answer)) + answer[:40])
            await asyncio.sleep(0.05)
            writer.transport.abort()
            return False
        writer.write(b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n" % (named, len(answer)) + answer)
        call.reported = True
        return True

    async def _stream(self, call: CloudCall, usage: dict[str, int], writer: asyncio.StreamWriter, *, cut: bool) -> bool:
        chance = self._stage.world.chance
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: %b\r\n"
            b"transfer-encoding: chunked\r\n\r\n" % call.upstream_id.encode()
        )
        words = chance.randint(1, 6)
        for word in range(words):
            choice = {"index": 0, "delta": {"content": f"w{word} "}, "finish_reason": None}
            writer.write(_piece({"id": "c1", "object": "chat.completion.chunk", "choices": [choice]}))
            await asyncio.sleep(chance.expovariate(20))
            if cut and word == words // 2:
                writer.transport.abort()
                return False
        finish = {"index": 0, "delta": {}, "finish_reason": "stop"}
        writer.write(_piece({"id": "c1", "object": "chat.completion.chunk", "choices": [finish]}))
        writer.write(_piece({"id": "c1", "object": "chat.completion.chunk", "choices": [], "usage": usage}))
        writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
        call.reported = True
        return True


def _piece(event: dict[str, object]) -> bytes:
    data = b"data: %b\n\n" % json.dumps(event, separators=(",", ":")).encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


def _header(head: bytes, name: bytes) -> str:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip().decode()
    return ""


# -- clients


class Answer(msgspec.Struct):
    """A client's answer to one request. `how`: whole, refused, broken (a stream that ended by an error event), gone
    (the connection ended before the answer did), left (the client did), unreached, silent (nothing for a long time)."""

    tag: str
    gateway: str
    sent_ns: int
    how: str = "silent"
    status: int = 0
    request: str = ""
    ended_ns: int = 0
    input_tokens: int = -1
    output_tokens: int = -1
    body: bytes = b""
    customer: str = ""


def _tells_error(events: bytes) -> bool:
    """Return whether a stream ends by an error event, as far as it has come."""
    return b'data: {"error"' in events and events.endswith(b"\n\n")


class Clients:
    """Clients that ask one after the other and at once, some of whom leave before they are answered."""

    def __init__(self, stage: Stage, homes: list[VirtualHome], terms: Terms, answers: list[Answer]) -> None:
        self._stage, self._terms, self.answers = stage, terms, answers
        self._gateways = [gateway for home in homes for gateway in home.gateways]
        self._favoured = [each for each in terms.customers if each.name == terms.favourite] or terms.customers
        self._tasks: set[Any] = set()
        self.pace_s = 0.5
        self.stops = False
        self.process = process_of(stage.world, stage.network, stage.world.machine("outside"), "clients", self._serve)

    async def _serve(self) -> None:
        chance = self._stage.world.chance
        while not self.stops:
            await asyncio.sleep(chance.expovariate(1 / self.pace_s))
            # Sometimes many come at once: what is left of a budget or limit is asked for by all of them.
            for _ in range(chance.choice((1, 1, 1, 2, 6))):
                task = asyncio.get_running_loop().create_task(self._ask())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        while self._tasks:
            await asyncio.wait(self._tasks)

    def come_again(self, requests: int) -> None:
        """Ask a few more, one after the other, once all others have been answered."""

        async def ask() -> None:
            for _ in range(requests):
                await self._ask()

        self.process = process_of(
            self._stage.world, self._stage.network, self._stage.world.machine("outside"), "late clients", ask
        )

    async def _ask(self) -> None:
        world, chance = self._stage.world, self._stage.world.chance
        up = [gateway for gateway in self._gateways if gateway.serves]
        gateway = chance.choice(up or self._gateways)
        answer = Answer(f"t{len(self.answers)}", gateway.name, world.now_ns)
        self.answers.append(answer)
        customer = chance.choice(self._favoured if chance.random() < 0.5 else self._terms.customers)
        answer.customer = customer.name
        streams, patience_s = chance.random() < 0.5, 25.0
        leaves = chance.random() < 0.08
        if leaves:
            patience_s = chance.expovariate(2)
        body = json.dumps(
            {
                "model": MODEL,
                "messages": [{"role": "user", "content": "?" * chance.randint(1, 80)}],
                "max_tokens": chance.randint(1, 120),
                "stream": streams,
            }
        ).encode()
        request = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {customer.secret}\r\n"
            f"content-type: application/json\r\nx-client-request-id: {answer.tag}\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        ).encode() + body
        try:
            async with asyncio.timeout(patience_s):
                await self._exchange(gateway, request, answer)
        except TimeoutError:
            answer.how = "left" if leaves else "silent"
        except ConnectionRefusedError:
            answer.how = "unreached"
        except (OSError, asyncio.IncompleteReadError):
            answer.how = "gone"
        answer.ended_ns = world.now_ns
        world.note(f"{answer.tag} {answer.how} {answer.status} {answer.input_tokens}/{answer.output_tokens}")

    async def _exchange(self, gateway: Gateway, request: bytes, answer: Answer) -> None:
        reader, writer = await asyncio.open_connection(*gateway.address)
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            answer.status, answer.request = int(head[9:12]), _header(head, b"x-clauseway-request-id")
            if _header(head, b"transfer-encoding"):
                body = b""
                while size := int((await reader.readuntil(b"\r\n")), 16):
                    body += (await reader.readexactly(size + 2))[:-2]
                    if _tells_error(body):
                        break  # as most clients do: the body of a stream that broke has no end
                else:
                    await reader.readexactly(2)
            else:
                body = await reader.readexactly(int(_header(head, b"content-length") or 0))
            answer.body = body
            self._read(answer, is_stream=_header(head, b"content-type").startswith("text/event-stream"))
        finally:
            writer.close()

    def _read(self, answer: Answer, *, is_stream: bool) -> None:
        if answer.status != 200:
            answer.how = "refused"
            return
        if not is_stream:
            answer.how = "whole"
            usage = json.loads(answer.body).get("usage") or {}
            answer.input_tokens = usage.get("prompt_tokens", -1)
            answer.output_tokens = usage.get("completion_tokens", -1)
        else:
            # Without being asked for, usage is not passed on; the last event says that it is all there.
            is_whole = answer.body.endswith(b"data: [DONE]\n\n")
            answer.how = "whole" if is_whole else "broken" if _tells_error(answer.body) else "cut short"
