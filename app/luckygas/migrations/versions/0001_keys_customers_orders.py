"""API keys, customers, orders, idempotency keys."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

APP_ROLE = "luckygas_app"


def upgrade() -> None:
    """Create the first tables and let the service use them, each as far as it needs."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("secret_mac", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("role IN ('admin', 'dispatcher', 'driver', 'customer', 'service')", "api_keys_role_check"),
    )
    op.create_table(
        "customers",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("mobile", sa.Text, nullable=False),
        sa.Column("tax_number", sa.Text),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("kind IN ('household', 'shop', 'restaurant')", "customers_kind_check"),
        sa.CheckConstraint("mobile ~ '^09[0-9]{8}$'", "customers_mobile_check"),
        sa.CheckConstraint("tax_number ~ '^[0-9]{8}$'", "customers_tax_number_check"),
    )
    op.create_index("customers_mobile_idx", "customers", ["mobile"])
    op.create_table(
        "orders",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column(
            "customer_id", sa.BigInteger, sa.ForeignKey("customers.id", name="orders_customer_id_fkey"), nullable=False
        ),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("delivery_address", sa.Text, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("wanted_on", sa.Date),
        sa.Column("placed_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("status IN ('placed')", "orders_status_check"),
    )
    op.create_index("orders_customer_id_id_idx", "orders", ["customer_id", "id"])
    op.create_index("orders_status_id_idx", "orders", ["status", "id"])
    op.create_table(
        "order_lines",
        sa.Column(
            "order_id", sa.BigInteger, sa.ForeignKey("orders.id", name="order_lines_order_id_fkey"), primary_key=True
        ),
        sa.Column("position", sa.SmallInteger, primary_key=True),
        sa.Column("cylinder_kg", sa.SmallInteger, nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("unit_price_twd", sa.Integer, nullable=False),
        sa.CheckConstraint("cylinder_kg IN (4, 10, 16, 20, 50)", "order_lines_cylinder_kg_check"),
        sa.CheckConstraint("quantity > 0", "order_lines_quantity_check"),
        sa.CheckConstraint("unit_price_twd >= 0", "order_lines_unit_price_twd_check"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("principal", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.SmallInteger),
        sa.Column("location", sa.Text),
        sa.Column("body", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    )
    op.create_index("idempotency_keys_created_at_idx", "idempotency_keys", ["created_at"])
    # Nothing is granted by default, so every later table says for itself what may be done with it.
    for table, privileges in {
        "alembic_version": "SELECT",
        "api_keys": "SELECT, INSERT, UPDATE",
        "customers": "SELECT, INSERT",
        "orders": "SELECT, INSERT",
        "order_lines": "SELECT, INSERT",
        "idempotency_keys": "SELECT, INSERT, UPDATE, DELETE",
    }.items():
        op.execute(f"GRANT {privileges} ON {table} TO {APP_ROLE}")
