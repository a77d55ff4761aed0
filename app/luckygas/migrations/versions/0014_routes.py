"""Routes of drivers and their stops."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

APP_ROLE = "luckygas_app"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "routes",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column(
            "driver_id", sa.BigInteger, sa.ForeignKey("drivers.id", name="routes_driver_id_fkey"), nullable=False
        ),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("sequenced_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("status IN ('planned', 'out', 'done')", "status"),
        sa.CheckConstraint("sequenced_by IN ('plain', 'google')", "sequenced_by"),
    )
    op.create_index(
        "routes_driver_id_day_idx", "routes", ["driver_id", "day"], unique=True,
        postgresql_where=sa.text("status <> 'done'"),
    )  # fmt: skip
    op.create_index("routes_day_id_idx", "routes", ["day", "id"])
    op.create_table(
        "stops",
        sa.Column("route_id", sa.BigInteger, sa.ForeignKey("routes.id", name="stops_route_id_fkey"), primary_key=True),
        sa.Column("order_id", sa.BigInteger, sa.ForeignKey("orders.id", name="stops_order_id_fkey"), primary_key=True),
        sa.Column("position", sa.SmallInteger, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("received_by", sa.Text),
        sa.Column("note", sa.Text),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("outcome IN ('open', 'delivered', 'failed')", "outcome"),
        sa.CheckConstraint("(outcome = 'delivered') = (received_by IS NOT NULL)", "received_by"),
    )
    op.create_index(
        "stops_order_id_idx", "stops", ["order_id"], unique=True, postgresql_where=sa.text("outcome <> 'failed'")
    )
    for table in ("routes", "stops"):
        op.execute(f"GRANT SELECT, INSERT, UPDATE ON {table} TO {APP_ROLE}")
