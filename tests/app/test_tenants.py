"""Customers as a plan sees them: keys and their ends, what holds for each, and whose word on routing counts."""

import contextlib
import cProfile
import subprocess
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from clauseway.app.customers.allowances import GivenScope, set_budget, set_limit
from clauseway.app.customers.keys import create_key, find_key, known_hash_key, list_keys, revoke_key, rotate_key
from clauseway.app.customers.tenants import NOTHING, Wish, create_tenant, set_policy, show_tenant, tenancy_for_plan
from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.app.opening.library import open_agreement
from clauseway.gateway.plan import Budget, Policy, RateLimit
from clauseway.gateway.routing.key_digests import digest
from clauseway.storage import Control
from clauseway.storage.control import schema
from clauseway.storage.control.versions import move
from clauseway.values import HOUR_NS, InvalidInput, start_of_day_ns
from deployments import deployment
from in_process import CLAUSEWAY, answer

CATALOG = open_agreement(None).catalog


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def key(home: Home, organisation: str, project: str, role: str = "member") -> str:
    made = create_key(
        home, CATALOG, organisation=organisation, project=project, seller="openai", segment="any", role=role
    )
    return made.key_id


# Whom a limit is set for → the keys it holds for. Keys: acme/search, acme/chat, and other/search of another buyer.
HOLDS = [
    (GivenScope(organisation="acme"), {"acme/search", "acme/chat"}),
    (GivenScope(organisation="acme", project="search"), {"acme/search"}),
    (GivenScope(organisation="other"), {"other/search"}),
    (GivenScope(organisation="acme", cloud="aws", product="gpt-5.5"), {"acme/search", "acme/chat"}),
]


def test_the_work_of_a_key_does_not_grow_with_the_keys_of_others(home: Home) -> None:
    def work() -> int:
        profile = cProfile.Profile()
        profile.enable()
        made = key(home, "acme", "search")
        rotate_key(home, made, 0)
        revoke_key(home, made)
        profile.disable()
        return sum(entry.callcount for entry in profile.getstats())

    work()  # the first makes the home, and reads what later ones have at hand
    alone = work()
    with open_control(home) as control, control.writing() as connection:
        for number in range(300):
            connection.execute(
                insert(schema.keys).values(
                    digest=f"{number}",
                    key_id=f"key_{number}",
                    organisation=f"other-{number}",
                    project="chat",
                    seller="openai",
                    segment="any",
                    created_ns=number,
                )
            )
    assert work() < 1.1 * alone


@pytest.mark.parametrize(("who", "whose"), HOLDS)
def test_whom_a_limit_and_a_budget_hold_for(home: Home, who: GivenScope, whose: set[str]) -> None:
    for organisation, project in (("acme", "search"), ("acme", "chat"), ("other", "search")):
        key(home, organisation, project)
    limit = set_limit(home, CATALOG, who, 10, 0)
    budget = set_budget(home, CATALOG, who, "5", "month")
    plan = tenancy_for_plan(home)
    assert {f"{k.organisation}/{k.project}" for k in plan.keys if k.limits == (0,)} == whose
    assert {f"{k.organisation}/{k.project}" for k in plan.keys if k.budgets == (0,)} == whose
    assert plan.limits == (
        RateLimit(
            id=limit.id,
            whose=limit.whose,
            requests_per_minute=10,
            tokens_per_minute=0,
            cloud=who.cloud,
            product=who.product,
        ),
    )
    assert plan.budgets == (Budget(id=budget.id, whose=budget.whose, cloud=who.cloud, product=who.product),)


def test_a_key_has_its_own_limit_and_all_that_hold_for_it(home: Home) -> None:
    first, second = key(home, "acme", "search"), key(home, "acme", "search", "auditor")
    set_limit(home, CATALOG, GivenScope(organisation="acme"), 100, 0)
    set_limit(home, CATALOG, GivenScope(key=second), 0, 50)
    plan = tenancy_for_plan(home)
    assert {k.key_id: (k.limits, k.role) for k in plan.keys} == {
        first: ((0,), "member"),
        second: ((0, 1), "auditor"),
    }
    assert [(limit.requests_per_minute, limit.tokens_per_minute) for limit in plan.limits] == [(100, 0), (0, 50)]


def test_a_limit_set_again_keeps_its_id(home: Home) -> None:
    create_tenant(home, "acme")
    before = set_limit(home, CATALOG, GivenScope(organisation="acme"), 100, 0)
    after = set_limit(home, CATALOG, GivenScope(organisation="acme"), 7, 8)
    assert after.id == before.id
    assert [limit.requests_per_minute for limit in tenancy_for_plan(home).limits] == [7]
    daily = set_budget(home, CATALOG, GivenScope(organisation="acme"), "10", "day")
    assert set_budget(home, CATALOG, GivenScope(organisation="acme"), "11", "day").id == daily.id
    assert set_budget(home, CATALOG, GivenScope(organisation="acme"), "11", "month").id != daily.id


# The hours of grace of each rotation, in turn → which secrets the key accepts then, numbered from its first. Whoever
# gives a leaked secret no hours does not know whether it was the present one.
ROTATED = [
    ((24,), {0, 1}),
    ((0,), {1}),
    ((24, 24), {0, 1, 2}),
    ((24, 0), {2}),
    ((0, 24), {1, 2}),
    ((24, 24, 0, 24), {3, 4}),
]


@pytest.mark.parametrize(("grace_hours", "accepted"), ROTATED, ids=str)
def test_rotation_accepts_former_secrets_for_a_while(
    home: Home, grace_hours: tuple[int, ...], accepted: set[int]
) -> None:
    made = create_key(home, CATALOG, organisation="acme", project="p", seller="openai", segment="any")
    secrets = [made.secret, *(rotate_key(home, made.key_id, hours).secret for hours in grace_hours)]
    hash_key = bytes.fromhex(home.hash_key())
    digests = [digest(hash_key, secret.encode()).hex() for secret in secrets]
    keys = tenancy_for_plan(home).keys
    assert {digests.index(k.digest) for k in keys} == accepted
    assert {k.key_id for k in keys} == {made.key_id}
    assert secrets[-1] not in home.embedded_control.read_bytes().decode("latin-1")
    revoke_key(home, made.key_id)
    assert not tenancy_for_plan(home).keys


def test_a_rotation_with_fewer_hours_shortens_those_of_the_secrets_before(home: Home) -> None:
    made = create_key(home, CATALOG, organisation="acme", project="p", seller="openai", segment="any")
    for hours in (24, 1, 48):
        rotate_key(home, made.key_id, hours)
    with contextlib.closing(Control.open(home.control)) as control:
        ends_ns = [secret.until_ns - time.time_ns() for secret in control.former_secrets()]
    assert [round(end_ns / HOUR_NS) for end_ns in ends_ns] == [1, 1, 48]


def test_a_secret_that_ended_at_once_has_ended_by_every_clock(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of another machine, or one that is set back, may be behind the clock that it was ended by."""
    made = create_key(home, CATALOG, organisation="acme", project="p", seller="openai", segment="any")
    rotate_key(home, made.key_id, 0)
    now_ns = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now_ns - 24 * HOUR_NS)
    assert len(tenancy_for_plan(home).keys) == 1


# The day from which a key is not accepted, the hours of grace of its rotation → after how many hours, from a day before
# that day on, the gateway accepts the former secret and the present one no more by itself. None: no such day, no end.
ENDS = [
    (None, 12, (12, None)),
    (date(2100, 1, 1), 12, (12, 24)),
    (date(2100, 1, 1), 36, (24, 24)),
]


@pytest.mark.parametrize(("expires", "grace_hours", "ends"), ENDS, ids=str)
def test_a_plan_says_when_each_secret_ends(
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
    expires: date | None,
    grace_hours: int,
    ends: tuple[int | None, int | None],
) -> None:
    begin_ns = start_of_day_ns(date(2099, 12, 31))
    monkeypatch.setattr(time, "time_ns", lambda: begin_ns)
    made = create_key(home, CATALOG, organisation="acme", project="p", seller="openai", segment="any", expires=expires)
    again = rotate_key(home, made.key_id, grace_hours)
    hash_key = bytes.fromhex(home.hash_key())
    ends_ns = {key.digest: key.ends_ns for key in tenancy_for_plan(home).keys}
    result = [ends_ns[digest(hash_key, secret.encode()).hex()] for secret in (made.secret, again.secret)]
    assert result == [begin_ns + hours * HOUR_NS if hours else 0 for hours in ends]


def test_a_key_that_is_over_gets_no_other_secret(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret would never be accepted."""
    made = create_key(
        home, CATALOG, organisation="acme", project="p", seller="openai", segment="any", expires=date(2100, 1, 1)
    )
    with monkeypatch.context() as patched:
        patched.setattr(time, "time_ns", lambda: start_of_day_ns(date(2100, 1, 1)))
        with pytest.raises(InvalidInput, match="has expired"):
            rotate_key(home, made.key_id, 24)
    rotate_key(home, made.key_id, 24)
    revoke_key(home, made.key_id)
    assert [(key.state, key.former_until) for key in list_keys(home, with_revoked=True)] == [("revoked", "")]
    with pytest.raises(InvalidInput, match="no active key"):
        rotate_key(home, made.key_id, 24)


# The hours from the begin of 31 December 2099 on → how a key is listed that expires with that day, and until when its
# former secret is accepted, which was given 36 hours: it ends with its key at the latest.
LISTED = [(0, ("active", "2100-01-01T00:00:00Z")), (24, ("expired", ""))]


@pytest.mark.parametrize(("hours", "listed"), LISTED)
def test_a_key_is_listed_as_expired_from_the_day_on(
    home: Home, monkeypatch: pytest.MonkeyPatch, hours: int, listed: tuple[str, str]
) -> None:
    begin_ns = start_of_day_ns(date(2099, 12, 31))
    monkeypatch.setattr(time, "time_ns", lambda: begin_ns)
    made = create_key(
        home, CATALOG, organisation="acme", project="p", seller="openai", segment="any", expires=date(2100, 1, 1)
    )
    rotate_key(home, made.key_id, 36)
    monkeypatch.setattr(time, "time_ns", lambda: begin_ns + hours * HOUR_NS)
    assert [(key.state, key.former_until) for key in list_keys(home)] == [listed]
    assert bool(tenancy_for_plan(home).keys) == (listed[0] == "active")
    assert revoke_key(home, made.key_id).state == "revoked"


def test_a_former_secret_is_accepted_before_its_end_and_not_at_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    begin_ns = start_of_day_ns(date(2099, 12, 31))
    monkeypatch.setattr(time, "time_ns", lambda: begin_ns)
    made = create_key(home, CATALOG, organisation="acme", project="p", seller="openai", segment="any")
    rotate_key(home, made.key_id, 12)
    for before_ns, accepted in ((1, 2), (0, 1)):
        monkeypatch.setattr(time, "time_ns", lambda before_ns=before_ns: begin_ns + 12 * HOUR_NS - before_ns)
        assert len(tenancy_for_plan(home).keys) == accepted
        assert [bool(key.former_until) for key in list_keys(home)] == [accepted == 2]


def test_a_key_that_is_revoked_meanwhile_gets_no_other_secret(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    made = create_key(home, CATALOG, organisation="acme", project="p", seller="openai", segment="any")
    replace = Control.replace_secret

    def replace_late(control: Control, *of: Any) -> bool:
        revoke_key(home, made.key_id)
        return replace(control, *of)

    monkeypatch.setattr(Control, "replace_secret", replace_late)
    with pytest.raises(InvalidInput, match="no active key"):
        rotate_key(home, made.key_id, 24)


def test_a_key_that_has_expired_is_accepted_no_more(home: Home) -> None:
    made = create_key(
        home, CATALOG, organisation="acme", project="p", seller="openai", segment="any", expires=date(2100, 1, 1)
    )
    assert made.expires == "2100-01-01T00:00:00Z"
    assert [k.key_id for k in tenancy_for_plan(home).keys] == [made.key_id]
    control = Control.open(home.control)
    (row,) = control.keys()
    control.add_key(
        type(row)(
            digest="d",
            key_id="key_old",
            organisation="acme",
            project="p",
            seller="openai",
            segment="any",
            created_ns=1,
            expires_ns=time.time_ns() - 1,
        )
    )
    control.close()
    assert [k.key_id for k in tenancy_for_plan(home).keys] == [made.key_id]
    assert {k.key_id: k.state for k in list_keys(home)} == {made.key_id: "active", "key_old": "expired"}


# The organisation's setting and its project's → the setting that holds for the project.
WORDS = [
    (Wish(), Wish(), Policy()),
    (Wish(strategy="cheapest"), Wish(), Policy(strategy="cheapest")),
    (Wish(strategy="cheapest"), Wish(strategy="fastest"), Policy(strategy="fastest")),
    (Wish(strategy="pinned", pinned="a"), Wish(strategy="fastest"), Policy(strategy="fastest")),
    (Wish(clouds=("azure", "aws")), Wish(), Policy(clouds=("azure", "aws"))),
    (Wish(clouds=("azure", "aws")), Wish(clouds=("aws",)), Policy(clouds=("aws",))),
    (Wish(), Wish(sellers=("openai",)), Policy(sellers=("openai",))),
    (Wish(residency=("eu", "uk")), Wish(residency=("uk", "us")), Policy(residency=("uk",))),
    (Wish(certifications=("soc2",)), Wish(certifications=("hipaa",)), Policy(certifications=("soc2", "hipaa"))),
    (Wish(on_leave="drain"), Wish(), Policy(on_leave="drain")),
    (Wish(on_leave="drain"), Wish(on_leave="cancel"), Policy(on_leave="cancel")),
]


@pytest.mark.parametrize(("whole", "own", "holds"), WORDS)
def test_a_project_narrows_and_never_widens(home: Home, whole: Wish, own: Wish, holds: Policy) -> None:
    key(home, "acme", "search")
    set_policy(home, CATALOG, whole, "acme")
    assert set_policy(home, CATALOG, own, "acme", "search").holds == holds
    plan = tenancy_for_plan(home)
    assert plan.policies[plan.keys[0].policy] == holds
    assert plan.policies[0] == Policy()


def test_nothing_allowed_is_refused_and_never_taken_for_anything(home: Home) -> None:
    key(home, "acme", "search")
    set_policy(home, CATALOG, Wish(clouds=("aws",)), "acme", "search")
    with pytest.raises(InvalidInput, match="project acme/search would be allowed no clouds"):
        set_policy(home, CATALOG, Wish(clouds=("azure",)), "acme")
    assert show_tenant(home, "acme").says == Wish()
    control = Control.open(home.control)  # as an older release or a hand may have left it
    with control.writing() as connection:
        connection.exec_driver_sql("""UPDATE tenants SET policy = '{"clouds": ["azure"]}' WHERE project = ''""")
    control.close()
    assert show_tenant(home, "acme", "search").holds.clouds == NOTHING


def test_a_home_of_an_older_release_gains_what_it_lacks(home: Home) -> None:
    control = Control.open(home.make().control)
    with control.writing() as connection:
        move(connection, "0001")  # the tables as they were before they had a version
        connection.exec_driver_sql("DROP TABLE alembic_version")
        connection.exec_driver_sql("DROP TABLE keys")
        connection.exec_driver_sql(
            "CREATE TABLE keys (digest VARCHAR(128) PRIMARY KEY, key_id VARCHAR(64) UNIQUE, organisation TEXT,"
            " project TEXT, seller TEXT, segment TEXT, created_ns BIGINT, revoked_ns BIGINT)"
        )
        connection.exec_driver_sql("INSERT INTO keys VALUES ('d', 'key_1', 'acme', 'p', 'openai', 'any', 1, 0)")
    control.close()
    (key,) = tenancy_for_plan(home).keys
    assert (key.key_id, key.role) == ("key_1", "member")
    set_limit(home, CATALOG, GivenScope(organisation="acme"), 1, 0)


# Each of these would make another hash.key, by which no customer's key is accepted any more.
WITHOUT_HASH_KEY = {
    "key create": ("key", "create", "--organisation", "Contoso", "--seller", "openai"),
    "key rotate": ("key", "rotate", "{key}"),
    "key find": ("key", "find"),
    "serve": ("serve", "--config", "{config}", "--port", "0"),
}
NOT_WELL = 2  # the doctor's exit code


@pytest.mark.parametrize("command", WITHOUT_HASH_KEY.values(), ids=WITHOUT_HASH_KEY)
def test_where_keys_are_no_other_hash_key_is_made(tmp_path: Path, command: tuple[str, ...]) -> None:
    """As in a home that was restored without it, or a second one at the same database."""
    home = Home(tmp_path / "home")
    made = create_key(home, CATALOG, organisation="acme", project="p", seller="openai", segment="any")
    (home.root / "hash.key").unlink()
    config = tmp_path / "clauseway.toml"
    config.write_text(deployment())
    words = [word.format(key=made.key_id, config=config) for word in command]
    done = subprocess.run(
        [CLAUSEWAY, *words, "--home", home.root],
        input=made.secret,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert "hash.key is missing" in done.stderr
    assert not (home.root / "hash.key").exists()
    checks = answer("doctor", "--config", str(config), home=home.root, code=NOT_WELL)["checks"]
    [result] = [check for check in checks if check["what"] == "keys"]
    assert result["ok"] is False
    assert "no customer's key is accepted" in result["found"]


# A hash.key of 64 digits in hex, and what is left of it, or in its place.
DAMAGED = {
    "empty": b"",
    "white space": b" \n",
    "cut off": b"5a" * 31,
    "half a byte": b"5a" * 32 + b"5",
    "no hex": b"zz" * 32,
    "no text": b"\xff\xfe" * 32,
    "too long": b"5a" * 65,
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_hash_key_hashes_nothing(tmp_path: Path, content: bytes) -> None:
    """Else every customer's key would be refused, and keys made meanwhile be lost once it is back."""
    home = Home(tmp_path / "home")
    made = create_key(home, CATALOG, organisation="acme", project="p", seller="openai", segment="any")
    whole = (home.root / "hash.key").read_bytes()
    (home.root / "hash.key").write_bytes(content)
    for refused in (
        lambda: create_key(home, CATALOG, organisation="acme", project="p", seller="openai", segment="any"),
        lambda: rotate_key(home, made.key_id, 0),
        lambda: find_key(home, made.secret),
        lambda: known_hash_key(home),
    ):
        with pytest.raises(InvalidInput, match=r"hash\.key is damaged"):
            refused()
    config = tmp_path / "clauseway.toml"
    config.write_text(deployment())
    checks = answer("doctor", "--config", str(config), home=home.root, code=NOT_WELL)["checks"]
    [result] = [check for check in checks if check["what"] == "keys"]
    assert "hash.key is damaged" in result["found"]
    assert (home.root / "hash.key").read_bytes() == content
    (home.root / "hash.key").write_bytes(whole)
    assert find_key(home, made.secret).key.key_id == made.key_id


def test_a_hash_key_that_is_gone_for_good_is_made_by_somebody(tmp_path: Path) -> None:
    """By what the refusal says; then keys get new secrets."""
    home = Home(tmp_path / "home")
    made = create_key(home, CATALOG, organisation="acme", project="p", seller="openai", segment="any")
    (home.root / "hash.key").write_text("ab" * 32 + "\n")
    again = rotate_key(home, made.key_id, 0)
    assert find_key(home, again.secret).key.key_id == made.key_id
    with pytest.raises(InvalidInput, match="no key of this home has that secret"):
        find_key(home, made.secret)
