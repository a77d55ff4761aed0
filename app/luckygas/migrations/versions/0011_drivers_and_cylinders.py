"""Drivers; cylinders and every move of them."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

APP_ROLE = "luckygas_app"

PLACE = """
(place = 'depot' AND driver_id IS NULL AND customer_id IS NULL
 OR place = 'truck' AND driver_id IS NOT NULL AND customer_id IS NULL
 OR place = 'customer' AND driver_id IS NULL AND customer_id IS NOT NULL)
"""


def upgrade() -> None:
    """Create the tables; what was moved is never changed."""
    op.create_table(
        "drivers",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("mobile", sa.Text, nullable=False),
        sa.Column("plate", sa.Text, nullable=False),
        sa.Column("capacity_kg", sa.Integer, nullable=False),
        sa.Column("principal", sa.Text),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.UniqueConstraint("principal", name="drivers_principal_key"),
        sa.CheckConstraint("mobile ~ '^09[0-9]{8}$'", "mobile"),
        sa.CheckConstraint("capacity_kg > 0", "capacity_kg"),
    )
    op.create_table(
        "cylinders",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("serial", sa.Text, nullable=False),
        sa.Column("cylinder_kg", sa.SmallInteger, nullable=False),
        sa.Column("inspected_until", sa.Date, nullable=False),
        sa.Column("is_full", sa.Boolean, nullable=False),
        *_place("cylinders"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.UniqueConstraint("serial", name="cylinders_serial_key"),
        sa.CheckConstraint("cylinder_kg IN (4, 10, 16, 20, 50)", "cylinder_kg"),
        sa.CheckConstraint(PLACE, "place"),
    )
    op.create_index("cylinders_customer_id_id_idx", "cylinders", ["customer_id", "id"])
    op.create_index("cylinders_driver_id_id_idx", "cylinders", ["driver_id", "id"])
    op.create_index("cylinders_inspected_until_idx", "cylinders", ["inspected_until"])
    cylinder = sa.ForeignKey("cylinders.id", name="cylinder_moves_cylinder_id_fkey")
    order = sa.ForeignKey("orders.id", name="cylinder_moves_order_id_fkey")
    op.create_table(
        "cylinder_moves",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("cylinder_id", sa.BigInteger, cylinder, nullable=False),
        *_place("cylinder_moves"),
        sa.Column("is_full", sa.Boolean, nullable=False),
        sa.Column("order_id", sa.BigInteger, order),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    )
    op.create_index("cylinder_moves_cylinder_id_id_idx", "cylinder_moves", ["cylinder_id", "id"])
    op.create_index("cylinder_moves_order_id_idx", "cylinder_moves", ["order_id"])
    for table, privileges in {
        "drivers": "SELECT, INSERT, UPDATE",
        "cylinders": "SELECT, INSERT, UPDATE",
        "cylinder_moves": "SELECT, INSERT",
    }.items():
        op.execute(f"GRANT {privileges} ON {table} TO {APP_ROLE}")


def _place(table: str) -> list[sa.Column]:
    driver = sa.ForeignKey("drivers.id", name=f"{table}_driver_id_fkey")
    customer = sa.ForeignKey("customers.id", name=f"{table}_customer_id_fkey")
    return [
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("driver_id", sa.BigInteger, driver),
        sa.Column("customer_id", sa.BigInteger, customer),
    ]
