"""Add tokens of images that a cloud's own tool drew to the sums by hour."""

from alembic import op
from sqlalchemy import BigInteger, Column

revision, down_revision = "0012", "0011"
_ADDED = (
    "image_tool_input_tokens",
    "image_tool_image_input_tokens",
    "image_tool_output_tokens",
    "image_tool_image_output_tokens",
)


def upgrade() -> None:
    for name in _ADDED:
        op.add_column("rollups", Column(name, BigInteger, nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("rollups") as batch:
        for name in _ADDED:
            batch.drop_column(name)
