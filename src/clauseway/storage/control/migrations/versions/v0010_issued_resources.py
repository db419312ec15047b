"""Where identifiers of stateful resources lie, where homes share a database."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Text

revision, down_revision = "0010", "0009"


def upgrade() -> None:
    op.create_table(
        "issued_resources",
        Column("identifier", Text, primary_key=True),
        Column("organisation", Text, nullable=False),
        Column("project", Text, nullable=False),
        Column("key_id", Text, nullable=False),
        Column("seller", Text, nullable=False),
        Column("segment", Text, nullable=False),
        Column("deployment", Text, nullable=False),
        Column("model", Text, nullable=False),
        Column("endpoint", Integer, nullable=False),
        Column("body_bytes", BigInteger, nullable=False),
        Column("created_ns", BigInteger, nullable=False),
        Column("purpose", Text, nullable=False),
        Column("contents", LargeBinary, nullable=False),
    )
    op.create_index(
        "issued_resources_by_owner",
        "issued_resources",
        ["organisation", "project", "endpoint", "created_ns"],
    )
    op.create_table(
        "identifier_copies",
        Column("home", String(16), primary_key=True),
        Column("copied_ns", BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("identifier_copies")
    op.drop_table("issued_resources")
