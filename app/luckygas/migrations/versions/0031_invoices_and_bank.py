"""E-invoices, and what the bank reports."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0041"

APP_ROLE = "luckygas_app"


def upgrade() -> None:
    """Create the tables; the books learn of money that nobody has claimed yet."""
    _allow("ledger_entries", "kind", "sale return payment deposit hand_in reversal settlement assignment")
    _allow("ledger_lines", "account", "receivable deposits sales driver_cash till bank cash_difference unassigned")
    op.create_index(
        "ledger_lines_owed_amount_idx", "ledger_lines", ["amount_twd", "entry_id"],
        postgresql_where=sa.text("account = 'receivable'"),
    )  # fmt: skip
    op.create_index("bills_amount_twd_id_idx", "bills", ["amount_twd", "id"])
    op.create_table(
        "invoices",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column(
            "order_id", sa.BigInteger, sa.ForeignKey("orders.id", name="invoices_order_id_fkey"), nullable=False
        ),
        sa.Column(
            "customer_id", sa.BigInteger, sa.ForeignKey("customers.id", name="invoices_customer_id_fkey"),
            nullable=False,
        ),
        sa.Column("buyer", sa.Text),
        sa.Column("amount_twd", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("number", sa.Text),
        sa.Column("random_code", sa.Text),
        sa.Column("issued_at", sa.DateTime(timezone=True)),
        sa.Column("voided_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.UniqueConstraint("order_id", name="invoices_order_id_key"),
        sa.UniqueConstraint("number", name="invoices_number_key"),
        sa.CheckConstraint("status IN ('wanted', 'issued', 'void')", "status"),
        sa.CheckConstraint("amount_twd > 0", "amount_twd"),
        sa.CheckConstraint("(status = 'wanted') = (number IS NULL)", "number"),
    )  # fmt: skip
    op.create_index("invoices_status_id_idx", "invoices", ["status", "id"])
    op.create_index("invoices_customer_id_id_idx", "invoices", ["customer_id", "id"])
    op.create_table(
        "bank_payments",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("bank_id", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("amount_twd", sa.BigInteger, nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("customer_id", sa.BigInteger, sa.ForeignKey("customers.id", name="bank_payments_customer_id_fkey")),
        sa.Column("assigned_by", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.UniqueConstraint("bank_id", name="bank_payments_bank_id_key"),
        sa.CheckConstraint("amount_twd > 0", "amount_twd"),
        sa.CheckConstraint("(customer_id IS NULL) = (assigned_by IS NULL)", "assigned_by"),
    )
    op.create_index(
        "bank_payments_unassigned_idx", "bank_payments", ["id"], postgresql_where=sa.text("customer_id IS NULL")
    )
    op.create_table(
        "bank_days",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
    )
    for table, privileges in {
        "invoices": "SELECT, INSERT, UPDATE",
        "bank_payments": "SELECT, INSERT, UPDATE",
        "bank_days": "SELECT, INSERT, UPDATE",
    }.items():
        op.execute(f"GRANT {privileges} ON {table} TO {APP_ROLE}")


def _allow(table: str, column: str, words: str) -> None:
    listed = ", ".join(f"'{word}'" for word in words.split())
    op.drop_constraint(f"{table}_{column}_check", table)
    op.create_check_constraint(column, table, f"{column} IN ({listed})")
