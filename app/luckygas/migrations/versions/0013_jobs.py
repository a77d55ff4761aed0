"""The tables of the job queue, and what is remembered beside them."""

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager

revision = "0013"
down_revision = "0012"

APP_ROLE = "luckygas_app"


def upgrade() -> None:
    """Create them as the library of this release has them; a newer one comes with its own migration."""
    # The driver, not SQLAlchemy, since the text has percent signs and several statements.
    op.get_bind().connection.driver_connection.execute(SchemaManager.get_schema())
    op.create_table(
        "finished_jobs",
        sa.Column("job_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    )
    op.create_index("finished_jobs_at_idx", "finished_jobs", ["at"])
    op.create_table(
        "job_failures",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("job_id", sa.BigInteger, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    )
    op.create_index("job_failures_job_id_id_idx", "job_failures", ["job_id", "id"])
    op.create_index("job_failures_at_idx", "job_failures", ["at"])
    for table, privileges in {
        "procrastinate_jobs": "SELECT, INSERT, UPDATE, DELETE",
        "procrastinate_events": "SELECT, INSERT",
        "procrastinate_workers": "SELECT, INSERT, UPDATE, DELETE",
        "procrastinate_periodic_defers": "SELECT, INSERT, UPDATE, DELETE",
        "finished_jobs": "SELECT, INSERT, DELETE",
        "job_failures": "SELECT, INSERT, DELETE",
    }.items():
        op.execute(f"GRANT {privileges} ON {table} TO {APP_ROLE}")
    for table in ("jobs", "events", "periodic_defers"):
        op.execute(f"GRANT USAGE ON SEQUENCE procrastinate_{table}_id_seq TO {APP_ROLE}")
