"""People, their sessions, failed log-ins."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

APP_ROLE = "luckygas_app"


def upgrade() -> None:
    """Create the tables and let the service use them, each as far as it needs."""
    op.create_table(
        "people",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("login", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("must_change_password", sa.Boolean, nullable=False),
        sa.Column("totp_secret", sa.Text),
        sa.Column("totp_confirmed_at", sa.DateTime(timezone=True)),
        sa.Column("totp_last_step", sa.BigInteger),
        sa.Column("disabled_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.UniqueConstraint("login", name="people_login_key"),
        sa.CheckConstraint("role IN ('admin', 'dispatcher', 'driver')", "people_role_check"),
        sa.CheckConstraint("login ~ '^[a-z0-9][a-z0-9._-]{1,39}$'", "people_login_check"),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.LargeBinary, primary_key=True),
        sa.Column(
            "person_id", sa.BigInteger, sa.ForeignKey("people.id", name="sessions_person_id_fkey"), nullable=False
        ),
        sa.Column("agent", sa.Text),
        sa.Column("address", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("sessions_person_id_idx", "sessions", ["person_id"])
    op.create_index("sessions_expires_at_idx", "sessions", ["expires_at"])
    op.create_table(
        "login_attempts",
        sa.Column("login", sa.Text, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True)),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("login_attempts_failed_at_idx", "login_attempts", ["failed_at"])
    for table, privileges in {
        "people": "SELECT, INSERT, UPDATE",
        "sessions": "SELECT, INSERT, UPDATE, DELETE",
        "login_attempts": "SELECT, INSERT, UPDATE, DELETE",
    }.items():
        op.execute(f"GRANT {privileges} ON {table} TO {APP_ROLE}")
