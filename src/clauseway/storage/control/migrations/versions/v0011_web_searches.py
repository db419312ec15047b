"""Add searches of the web by a cloud's own tool to the sums by hour."""

from alembic import op
from sqlalchemy import BigInteger, Column

revision, down_revision = "0011", "0010"
_ADDED = "web_searches"


def upgrade() -> None:
    op.add_column("rollups", Column(_ADDED, BigInteger, nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("rollups") as batch:
        batch.drop_column(_ADDED)
