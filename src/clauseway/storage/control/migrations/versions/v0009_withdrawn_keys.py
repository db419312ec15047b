"""Keys of parties that are trusted no longer."""

from alembic import op
from sqlalchemy import Boolean, Column, false

revision, down_revision = "0009", "0008"


def upgrade() -> None:
    withdrawn = Column("is_withdrawn", Boolean, nullable=False, server_default=false())
    op.add_column("party_keys", withdrawn)


def downgrade() -> None:
    with op.batch_alter_table("party_keys") as batch:
        batch.drop_column("is_withdrawn")
