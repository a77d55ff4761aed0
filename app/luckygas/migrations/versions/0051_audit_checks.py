"""What was found when the audit log was held against its links."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0051"
down_revision = "0050"

APP_ROLE = "luckygas_app"


def upgrade() -> None:
    """Create the table, a row a night."""
    op.create_table(
        "audit_checks",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("heads", JSONB, nullable=False),
        sa.Column("broken", sa.Text),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    )
    op.execute(f"GRANT SELECT, INSERT ON audit_checks TO {APP_ROLE}")
