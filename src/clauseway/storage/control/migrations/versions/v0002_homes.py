"""Homes that share a database: whose a journal is, and when each home was heard last."""

from alembic import op
from sqlalchemy import BigInteger, Column, String

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    """Journals of before are nobody's until the home that holds them has looked."""
    op.add_column("spools", Column("home", String(16), nullable=False, server_default=""))
    op.create_table(
        "homes",
        Column("home", String(16), primary_key=True),
        Column("heard_ns", BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("homes")
    with op.batch_alter_table("spools") as batch:
        batch.drop_column("home")
