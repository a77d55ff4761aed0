"""API keys with tier, scopes, owner and successor, and how much they are used."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

APP_ROLE = "luckygas_app"


def upgrade() -> None:
    """Expand only: the release before this one still makes keys without any of it."""
    op.add_column("api_keys", sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False))
    op.add_column("api_keys", sa.Column("tier", sa.Text, server_default="basic", nullable=False))
    op.add_column("api_keys", sa.Column("scopes", sa.ARRAY(sa.Text)))
    op.add_column("api_keys", sa.Column("owner_id", sa.BigInteger))
    op.add_column("api_keys", sa.Column("replaces", sa.Text))
    op.create_unique_constraint("api_keys_number_key", "api_keys", ["number"])
    op.create_unique_constraint("api_keys_replaces_key", "api_keys", ["replaces"])
    op.create_check_constraint(
        "api_keys_tier_check", "api_keys", "tier IN ('basic', 'standard', 'premium', 'enterprise')"
    )
    op.create_foreign_key("api_keys_owner_id_fkey", "api_keys", "people", ["owner_id"], ["id"])
    op.create_foreign_key("api_keys_replaces_fkey", "api_keys", "api_keys", ["replaces"], ["id"])
    op.create_table(
        "api_key_uses",
        sa.Column("key_id", sa.Text, sa.ForeignKey("api_keys.id", name="api_key_uses_key_id_fkey"), primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("requests", sa.BigInteger, nullable=False),
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON api_key_uses TO {APP_ROLE}")
