"""People who may write, what needs two of them, and what waits for a second one."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, String, Text

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    op.create_table(
        "people",
        Column("account", String(200), primary_key=True),
        Column("may", Text, nullable=False),
        Column("recorded_ns", BigInteger, nullable=False),
    )
    op.create_table(
        "two_person_rules",
        Column("kind", String(32), primary_key=True),
        Column("recorded_ns", BigInteger, nullable=False),
    )
    op.create_table(
        "approvals",
        Column(
            "sequence",
            BigInteger().with_variant(Integer, "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        Column("kind", String(32), nullable=False),
        Column("subject", Text, nullable=False),
        Column("digest", String(64), nullable=False, index=True),
        Column("says", Text, nullable=False),
        Column("asked_by", Text, nullable=False),
        Column("asked_ns", BigInteger, nullable=False),
        Column("decision", String(16), nullable=False),
        Column("decided_by", Text, nullable=False),
        Column("decided_ns", BigInteger, nullable=False),
    )


def downgrade() -> None:
    for name in ("approvals", "two_person_rules", "people"):
        op.drop_table(name)
