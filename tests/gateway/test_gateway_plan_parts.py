"""A plan's file: read in steps, refused whole where anything of it is wrong, its keys found by their digests."""

import asyncio
import sys
import threading
from collections.abc import Callable, Generator
from hashlib import blake2b
from itertools import count

import httpx
import msgspec
import pytest
from gateway_rig import AUTHORIZED, MODEL, OTHER_SECRET, SECRET, Rig, key

from awaiting import eventually
from clauseway.gateway.budgets.allowances import Allowances
from clauseway.gateway.budgets.leases import LocalLeaseServer
from clauseway.gateway.plan import Budget, Epoch, Key, Plan, RateLimit, Route
from clauseway.gateway.plan.file import Opened, encode_plan
from clauseway.gateway.plan.steps import between_requests, emptied, whole
from clauseway.gateway.routing.opening import opened, opening
from clauseway.values import InvalidInput
from selection_rig import deployment, plan


def digest(number: int) -> bytes:
    return blake2b(b"%d" % number, digest_size=32).digest()


def with_keys(count: int, first: int = 0, **changes: object) -> Plan:
    """Each key with a limit and a budget of its own."""
    keys = tuple(
        Key(
            digest=digest(number).hex(),
            organisation="acme",
            project=f"p-{number}",
            key_id=f"key_{number}",
            seller="openai",
            segment="any",
            limits=(number - first,),
            budgets=(number - first,),
        )
        for number in range(first, first + count)
    )
    limits = tuple(RateLimit(id=f"l-{key.key_id}", whose=key.project, requests_per_minute=5) for key in keys)
    budgets = tuple(Budget(id=f"b-{key.key_id}", whose=key.project) for key in keys)
    made = plan([deployment("a"), deployment("b", "aws")])
    made = msgspec.structs.replace(made, keys=keys, limits=limits, budgets=budgets)
    return msgspec.structs.replace(made, **changes)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 16, 65])
@pytest.mark.parametrize("form", ["lines", "one line"])
def test_what_was_written_is_read(count: int, form: str) -> None:
    made = with_keys(count)
    data = b"".join(encode_plan(made)) if form == "lines" else msgspec.json.encode(made)
    read = whole(opening([data[at : at + 7] for at in range(0, len(data), 7)], "plan.json"))
    assert read.plan == msgspec.structs.replace(made, limits=(), budgets=(), keys=(), parts=read.plan.parts)
    assert (tuple(read.limits), tuple(read.budgets)) == (made.limits, made.budgets)
    assert [read.limits[at] for at in range(len(read.limits))] == list(made.limits)
    assert [read.keys.find(digest(number)) for number in range(count)] == list(made.keys)
    assert [read.keys.find(digest(number)) for number in range(count, count + 200)] == [None] * 200
    assert (len(read.keys), len(read.limits), len(read.budgets)) == (count, count, count)


def without_line(data: bytes, at: int) -> bytes:
    lines = data.splitlines(keepends=True)
    del lines[at]
    return b"".join(lines)


LAST = max(map(digest, range(20))).hex().encode()
# A change to a file of 20 keys → the message.
DAMAGE: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("its last line is missing", lambda data: without_line(data, -1), "lines of parts; "),
    ("a line in its middle is missing", lambda data: without_line(data, 5), "were written"),
    ("its end is cut off", lambda data: data[:-30], "no readable plan"),
    ("a line is none", lambda data: data.replace(b'{"budgets"', b'{"budgets', 1), "line "),
    ("nothing is left of it", lambda data: b"", "no readable plan"),
    ("two lines of keys changed places", lambda data: swapped(data), "after"),
    ("a digest is no number", lambda data: data.replace(LAST, b"zz"), "not hexadecimal"),
    (
        "a key names a limit that there is not",
        lambda data: data.replace(b'"limits":[19]', b'"limits":[20]'),
        "limits that do not exist",
    ),
    (
        "a key names a policy that there is not",
        lambda data: data.replace(b'"policy":0', b'"policy":1', 1),
        "policy that do not exist",
    ),
    ("bytes are no text", lambda data: data.replace(b"p-7", b"p-\xff"), "no readable plan"),
]


def swapped(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    lines[-1], lines[-2] = lines[-2], lines[-1]
    return b"".join(lines)


@pytest.mark.parametrize(("what", "damage", "said"), DAMAGE, ids=[what for what, _, _ in DAMAGE])
def test_a_file_of_which_anything_is_wrong_is_refused(what: str, damage: Callable[[bytes], bytes], said: str) -> None:
    data = damage(b"".join(encode_plan(with_keys(20))))
    with pytest.raises(InvalidInput) as refused:
        whole(opening([data], "plan.json"))
    assert said in str(refused.value), what


def test_all_that_is_wrong_is_told_at_once() -> None:
    route = Route(candidates=((9, 9),))
    made = with_keys(3, hash_key="zz", epochs=(Epoch(begin_ns=0, routes={"a|b|c": route}),))
    wrong = [msgspec.structs.replace(key, budgets=(7,)) for key in made.keys]
    with pytest.raises(InvalidInput) as refused:
        opened(msgspec.structs.replace(made, keys=tuple(wrong)))
    assert [problem.what for problem in refused.value.problems] == [
        "budgets that do not exist",
        "budgets that do not exist",
        "budgets that do not exist",
        "not hexadecimal",
        "a candidate that does not exist",
    ]


# -- in slices


def stops(work: Generator[None, None, object]) -> int:
    """Return at how many places the work may be left."""
    return sum(1 for _ in work)


def test_a_plan_is_read_and_forgotten_a_little_at_a_time() -> None:
    keys = 2_000
    made = with_keys(keys)
    data = b"".join(encode_plan(made))
    assert stops(opening([data], "plan.json")) > 3 * keys / 8
    allowances = Allowances(LocalLeaseServer())
    read = opened(made)
    allowances.reload(read)
    held = [allowances.of(key) for key in made.keys]
    allowances.turn_to(opened(with_keys(0)))
    assert stops(allowances.forgetting()) >= len(held) + 2 * keys
    assert stops(emptied(dict.fromkeys(range(100)))) == 100


def test_others_have_their_turn_between_slices_and_what_is_superseded_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Each step takes 1.5 ms by this clock, so that a slice (2 ms) is two steps.
    clock_s = count(0, 0.0015)
    monkeypatch.setattr(sys.modules[between_requests.__module__], "perf_counter", lambda: next(clock_s))

    def work(done: list[int]) -> Generator[None, None, str]:
        for number in range(20):
            done.append(number)
            yield
        return "whole"

    async def turns(superseded: Callable[[], bool]) -> tuple[str | None, int, set[int]]:
        done: list[int] = []
        working, seen = asyncio.ensure_future(between_requests(work(done), superseded)), set()
        while not working.done():
            await asyncio.sleep(0)
            seen.add(len(done))
        return working.result(), len(done), seen

    whole, at_ends_of_slices = ("whole", 20), set(range(2, 21, 2))
    assert asyncio.run(turns(lambda: False)) == (*whole, at_ends_of_slices)
    assert asyncio.run(turns(lambda: True)) == (None, 2, {2})


def test_limits_hold_from_the_turn_on_and_what_was_used_counts() -> None:
    before, after = with_keys(2), with_keys(1, limits=(RateLimit(id="l-key_0", whose="p-0", requests_per_minute=3),))
    allowances = Allowances(LocalLeaseServer())
    allowances.reload(opened(before))
    old = allowances.of(before.keys[0])
    assert [old.admit(1.0) for _ in range(2)] == [None, None]
    allowances.turn_to(opened(after))
    new = allowances.of(after.keys[0])
    forgetting = allowances.forgetting()
    next(forgetting)
    assert new.admit(1.0) is None
    short = new.admit(1.0)
    assert short is not None
    assert short.limit == 3
    whole(forgetting)
    assert new.admit(1.0) is not None
    assert {name for _, name in allowances._windows} == {"l-key_0"}


def test_an_order_of_plans_in_which_nothing_is_half_taken_over() -> None:
    """Of two plans by turns, whichever is in force: a key's market, policy and limit are of the same one."""
    first, second = with_keys(40), with_keys(40, first=20)
    allowances = Allowances(LocalLeaseServer())
    for made in (first, second, first):
        read: Opened = opened(made)
        allowances.turn_to(read)
        for planned in made.keys:
            held = read.keys.find(bytes.fromhex(planned.digest))
            assert held is not None
            allowance = allowances.of(held)
            assert [window.id for window in allowance._windows] == [f"l-{planned.key_id}"]
            assert [budget_slice.id for budget_slice in allowance._slices] == [f"b-{planned.key_id}"]
        whole(allowances.forgetting())
        assert {name for _, name in allowances._windows} == {f"l-{planned.key_id}" for planned in made.keys}
        gone = {budget_slice.id for budget_slice in allowances.slices()}
        assert gone == {f"b-{planned.key_id}" for planned in made.keys}


# -- in a gateway


def test_while_a_plan_is_taken_over_the_old_one_serves_and_then_only_the_new_one(rig: Rig) -> None:
    rig.cloud("azure")
    many = [msgspec.structs.replace(key, limits=(), budgets=()) for key in with_keys(5_000).keys]
    before = rig.plan(keys=(key(SECRET, "openai"), *many))
    after = rig.plan(keys=(key(OTHER_SECRET, "openai"), *many), models={"another": rig.plan().models[MODEL]})
    rig.start(before)
    progress: list[tuple[int, int, tuple[str, ...]]] = []
    over = threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=60) as client:
            while not over.is_set():
                mine = client.get(f"{rig.url}/v1/models", headers=AUTHORIZED)
                theirs = client.get(f"{rig.url}/v1/models", headers={"authorization": f"Bearer {OTHER_SECRET}"})
                listed = [answer for answer in (mine, theirs) if answer.status_code == 200]
                names = tuple(model["id"] for answer in listed for model in answer.json()["data"])
                progress.append((mine.status_code, theirs.status_code, names))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        eventually(lambda: len(progress) > 5)
        new = rig.home / "plan.new"
        new.write_bytes(b"".join(encode_plan(after)))
        new.rename(rig.home / "plan.json")
        eventually(lambda: progress[-1][1] == 200)
        eventually(lambda: progress[-1][0] == 401)
    finally:
        over.set()
        asking.join()
    # Between two questions the plan may change; apart from that an asker sees one plan or the other.
    assert set(progress) <= {(200, 401, (MODEL,)), (401, 200, ("another",)), (200, 200, (MODEL, "another"))}
    switched = [seen[1] for seen in progress]
    assert switched == sorted(switched, reverse=True), "once the new plan is in force the old one is not"


def test_the_newest_of_many_plans_is_in_force_in_the_end(rig: Rig) -> None:
    rig.cloud("azure")
    rig.start()
    many = [msgspec.structs.replace(key, limits=(), budgets=()) for key in with_keys(3_000).keys]
    product = rig.plan().models[MODEL]
    for number in range(8):
        made = rig.plan(keys=(key(SECRET, "openai"), *many), models={f"model-{number}": product})
        rig.write_plan(made)
        if number == 5:
            (rig.home / "plan.json").write_bytes(b"{}")

    def served() -> list[str]:
        answer = httpx.get(f"{rig.url}/v1/models", headers=AUTHORIZED).json()
        return [model["id"] for model in answer["data"]]

    eventually(lambda: served() == ["model-7"])
