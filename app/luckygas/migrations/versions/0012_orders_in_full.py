"""All states of orders with their events, versions, and the price list."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

APP_ROLE = "luckygas_app"


def upgrade() -> None:
    """Widen orders; what happened and what was once a price is never changed."""
    op.drop_constraint("orders_status_check", "orders")
    op.create_check_constraint("status", "orders", "status IN ('placed', 'scheduled', 'out', 'delivered', 'cancelled')")
    op.add_column("orders", sa.Column("version", sa.Integer, server_default="1", nullable=False))
    op.create_index("orders_wanted_on_id_idx", "orders", ["wanted_on", "id"])
    order = sa.ForeignKey("orders.id", name="order_events_order_id_fkey")
    op.create_table(
        "order_events",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("order_id", sa.BigInteger, order, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    )
    op.create_index("order_events_order_id_id_idx", "order_events", ["order_id", "id"])
    op.create_index("order_events_at_idx", "order_events", ["at"], postgresql_where=sa.text("status = 'delivered'"))
    op.create_table(
        "prices",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("cylinder_kg", sa.SmallInteger, nullable=False),
        sa.Column("unit_price_twd", sa.Integer, nullable=False),
        sa.Column("valid_from", sa.Date, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("cylinder_kg IN (4, 10, 16, 20, 50)", "cylinder_kg"),
        sa.CheckConstraint("unit_price_twd >= 0", "unit_price_twd"),
    )
    op.create_index("prices_cylinder_kg_valid_from_id_idx", "prices", ["cylinder_kg", "valid_from", "id"])
    for table, privileges in {
        "orders": "UPDATE",
        "order_lines": "UPDATE, DELETE",
        "order_events": "SELECT, INSERT",
        "prices": "SELECT, INSERT",
    }.items():
        op.execute(f"GRANT {privileges} ON {table} TO {APP_ROLE}")
