"""Add the leased shares of per-minute limits, for homes that share a database.

`limit_shares` has the share of each holder; `limit_shortages` says when a share was last too small.
"""

from alembic import op
from sqlalchemy import BigInteger, Column, String

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    op.create_table(
        "limit_shares",
        Column("kind", String(8), primary_key=True),
        Column("limit_id", String(64), primary_key=True),
        Column("holder", String(16), primary_key=True),
        Column("leased", BigInteger, nullable=False),
        Column("serial", BigInteger, nullable=False),
        Column("until_ns", BigInteger, nullable=False),
    )
    op.create_table(
        "limit_shortages",
        Column("kind", String(8), primary_key=True),
        Column("limit_id", String(64), primary_key=True),
        Column("short_ns", BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("limit_shortages")
    op.drop_table("limit_shares")
