"""The tenants and their rules: organisations, their projects, limits by the minute, budgets.

Every method is one transaction; times and ids are arguments.
"""

from collections.abc import Collection
from decimal import Decimal
from typing import Generic, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, and_, delete, insert, select, update

from clauseway.storage.control import audit, schema
from clauseway.storage.control.chained import row_text
from clauseway.storage.control.control import Control, as_record

R = TypeVar("R", "Limit", "BudgetRow")
T = TypeVar("T", "Limit", "BudgetRow", "Tenant")


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """An organisation (`project` empty) or one of its projects. `policy` is JSON."""

    organisation: str
    project: str = ""
    policy: str = "{}"
    created_ns: int


class LimitScope(msgspec.Struct, frozen=True, kw_only=True):
    """The scope of a limit or budget: everything of an organisation, less with each name. Empty is
    any."""

    organisation: str
    project: str = ""
    key_id: str = ""
    cloud: str = ""
    product: str = ""


class Limit(LimitScope, frozen=True, kw_only=True):
    """The requests and tokens allowed in a minute; 0 for no limit."""

    id: str
    requests_per_minute: int
    tokens_per_minute: int
    created_ns: int


class BudgetRow(LimitScope, frozen=True, kw_only=True):
    """The amount that may be spent in each budget period: `period` is total, day or month (UTC)."""

    id: str
    period: str
    amount: Decimal
    currency: str
    created_ns: int


class Replaced(msgspec.Struct, Generic[T], frozen=True):
    """A row that was replaced by another value, and who had written it when: empty and 0 where the
    log does not say."""

    row: T
    who: str
    recorded_ns: int


class Tenants:
    """Organisations, projects, limits and budgets of a control database."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def add(self, tenant: Tenant) -> bool:
        """Add an organisation or project; return whether it is new. An existing one stays as it
        is."""
        with self._control.writing() as connection:
            if connection.execute(select(schema.tenants).where(_is(tenant))).first() is not None:
                return False
            connection.execute(insert(schema.tenants).values(**msgspec.structs.asdict(tenant)))
            return True

    def set_policy(self, organisation: str, project: str, policy: str) -> Replaced[Tenant] | None:
        """Replace the policy of an organisation or project; return the former one, where it was
        another."""
        named = _is(Tenant(organisation=organisation, project=project, created_ns=0))
        with self._control.writing() as connection:
            held = connection.execute(select(schema.tenants).where(named)).one_or_none()
            if held is None or held.policy == policy:
                return None
            connection.execute(update(schema.tenants).where(named).values(policy=policy))
            key = (organisation, project)
            return _replaced(connection, schema.tenants, key, as_record(Tenant, held))

    def remove(self, organisation: str, project: str) -> None:
        """Remove an organisation with its projects, or a project, with the limits and budgets that
        hold for them."""
        scopes = [schema.tenants, schema.limits, schema.budgets]
        with self._control.writing() as connection:
            for table in scopes:
                held = table.c.organisation == organisation
                if project:
                    held = and_(held, table.c.project == project)
                connection.execute(delete(table).where(held))

    def all(self) -> list[Tenant]:
        """Return organisations and projects by name, an organisation before its projects."""
        columns = schema.tenants.c
        with self._control.reading() as connection:
            query = select(schema.tenants).order_by(columns.organisation, columns.project)
            return [as_record(Tenant, row) for row in connection.execute(query)]

    def names(self, organisation: str = "") -> set[tuple[str, str]]:
        """Return the organisations (`project` empty) and projects that somebody created, or that
        have an active key; those of one organisation, where it is named."""
        created = select(schema.tenants.c.organisation, schema.tenants.c.project)
        keyed = select(schema.keys.c.organisation, schema.keys.c.project).where(
            schema.keys.c.revoked_ns == 0
        )
        if organisation:
            created = created.where(schema.tenants.c.organisation == organisation)
            keyed = keyed.where(schema.keys.c.organisation == organisation)
        with self._control.reading() as connection:
            # A union has each pair once.
            pairs = {tuple(row) for row in connection.execute(created.union(keyed))}
        return pairs | {(owner, "") for owner, _ in pairs}

    def set_limit(self, limit: Limit) -> tuple[Limit, Replaced[Limit] | None]:
        """Set the limit of a scope; return it as it now stands, with the id and creation time of
        the limit it replaces, and the former one, where it was another."""
        return self._set(schema.limits, limit, ())

    def set_budget(self, budget: BudgetRow) -> tuple[BudgetRow, Replaced[BudgetRow] | None]:
        """Set the budget of a scope and period, the same way."""
        return self._set(schema.budgets, budget, ("period",))

    def remove_limit(self, limit_id: str) -> bool:
        return self._remove(schema.limits, limit_id)

    def remove_budget(self, budget_id: str) -> bool:
        return self._remove(schema.budgets, budget_id)

    def limits(self) -> list[Limit]:
        """Return all limits, in the order in which they were first set."""
        with self._control.reading() as connection:
            query = select(schema.limits).order_by(schema.limits.c.created_ns, schema.limits.c.id)
            return [as_record(Limit, row) for row in connection.execute(query)]

    def limits_by_id(self, ids: Collection[str]) -> dict[str, Limit]:
        """Return those of the limits that there are."""
        with self._control.reading() as connection:
            query = select(schema.limits).where(schema.limits.c.id.in_(ids))
            return {row.id: as_record(Limit, row) for row in connection.execute(query)}

    def budgets(self) -> list[BudgetRow]:
        """Return all budgets, in the order in which they were set first."""
        with self._control.reading() as connection:
            query = select(schema.budgets).order_by(
                schema.budgets.c.created_ns, schema.budgets.c.id
            )
            return [as_record(BudgetRow, row) for row in connection.execute(query)]

    def _set(self, table: Table, row: R, more: tuple[str, ...]) -> tuple[R, Replaced[R] | None]:
        same = and_(
            *(
                table.c[name] == getattr(row, name)
                for name in (*LimitScope.__struct_fields__, *more)
            )
        )
        with self._control.writing() as connection:
            held = connection.execute(select(table).where(same)).one_or_none()
            if held is None:
                connection.execute(insert(table).values(**msgspec.structs.asdict(row)))
                return row, None
            # The scope is what identifies it: id and day of making stay when its amount changes.
            row = msgspec.structs.replace(row, id=held.id, created_ns=held.created_ns)
            former = as_record(type(row), held)
            connection.execute(update(table).where(same).values(**msgspec.structs.asdict(row)))
            if former == row:
                return row, None
            return row, _replaced(connection, table, (held.id,), former)

    def _remove(self, table: Table, row_id: str) -> bool:
        with self._control.writing() as connection:
            return connection.execute(delete(table).where(table.c.id == row_id)).rowcount > 0


def _replaced(connection: Connection, table: Table, key: tuple[str, ...], former: T) -> Replaced[T]:
    """Return a former row with who wrote it: the row that replaces it is logged at the commit."""
    named = row_text(key)
    logged = audit.latest(connection, str(table.name), [named]).get(named)
    if logged is None:
        return Replaced(former, "", 0)
    return Replaced(former, logged.who, logged.recorded_ns)


def _is(tenant: Tenant) -> ColumnElement[bool]:
    return and_(
        schema.tenants.c.organisation == tenant.organisation,
        schema.tenants.c.project == tenant.project,
    )
