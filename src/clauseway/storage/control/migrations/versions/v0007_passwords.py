"""The passwords of whoever reads the pages."""

from alembic import op
from sqlalchemy import BigInteger, Column, String, Text

revision, down_revision = "0007", "0006"


def upgrade() -> None:
    op.create_table(
        "passwords",
        Column("account", String(200), primary_key=True),
        Column("verifier", Text, nullable=False),
        Column("sees", Text, nullable=False),
        Column("recorded_ns", BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("passwords")
