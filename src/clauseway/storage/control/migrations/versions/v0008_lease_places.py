"""Where in a gateway's journal each of its leases began."""

from alembic import op
from sqlalchemy import BigInteger, Column

revision, down_revision = "0008", "0007"
_ADDED = ("journal_segment", "journal_frame")


def upgrade() -> None:
    for name in _ADDED:
        op.add_column("leases", Column(name, BigInteger, nullable=False, server_default="-1"))


def downgrade() -> None:
    with op.batch_alter_table("leases") as batch:
        for name in _ADDED:
            batch.drop_column(name)
