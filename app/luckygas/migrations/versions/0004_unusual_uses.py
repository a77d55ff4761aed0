"""What the use of a key is held against: how much of it was refused, and from where it came."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0032"

APP_ROLE = "luckygas_app"


def upgrade() -> None:
    """Expand only: the release before this one counts without any of it."""
    op.add_column("api_key_uses", sa.Column("refused", sa.BigInteger, server_default="0", nullable=False))
    op.create_table(
        "api_key_networks",
        sa.Column(
            "key_id", sa.Text, sa.ForeignKey("api_keys.id", name="api_key_networks_key_id_fkey"), primary_key=True
        ),
        sa.Column("network", sa.Text, primary_key=True),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("api_key_networks_first_at_idx", "api_key_networks", ["first_at"])
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON api_key_networks TO {APP_ROLE}")
