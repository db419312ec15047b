"""Add tokens written to the cache for an hour to the sums by hour."""

from alembic import op
from sqlalchemy import BigInteger, Column

revision, down_revision = "0005", "0004"
_ADDED = "cache_write_1h_tokens"


def upgrade() -> None:
    op.add_column("rollups", Column(_ADDED, BigInteger, nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("rollups") as batch:
        batch.drop_column(_ADDED)
