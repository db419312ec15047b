"""When usage was acknowledged with one copy."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, String, Text

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    op.create_table(
        "one_copy",
        Column(
            "sequence",
            BigInteger().with_variant(Integer, "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        Column("spool", String(64), nullable=False),
        Column("place", Text, nullable=False),
        Column("segment", BigInteger, nullable=False),
        Column("first_frame", BigInteger, nullable=False),
        Column("since_ns", BigInteger, nullable=False),
        Column("until_ns", BigInteger, nullable=False),
        Column("recorded_ns", BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("one_copy")
