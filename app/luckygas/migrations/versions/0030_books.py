"""The books, accounts of customers, and bills."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0014"

APP_ROLE = "luckygas_app"

# Nothing is booked that does not come to zero, whoever writes it.
BALANCE = """
CREATE FUNCTION ledger_lines_come_to_zero() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE wrong bigint;
BEGIN
    SELECT entry_id INTO wrong FROM added GROUP BY entry_id HAVING sum(amount_twd) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the lines of ledger entry % do not come to zero', wrong USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$
"""
BALANCE_TRIGGER = """
CREATE TRIGGER come_to_zero AFTER INSERT ON ledger_lines
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_lines_come_to_zero()
"""
# What was held and delivered before there were books.
OPENING = (
    """
    INSERT INTO ledger_entries (day, kind, reference, note, by, at)
    SELECT (created_at AT TIME ZONE 'Asia/Taipei')::date, 'deposit', 'deposit-' || id, note, by, created_at
    FROM customer_deposits ORDER BY id
    """,
    """
    INSERT INTO ledger_lines (entry_id, position, account, customer_id, amount_twd)
    SELECT entry.id, line.position, line.account, line.customer_id, line.amount_twd
    FROM customer_deposits AS deposit
    JOIN ledger_entries AS entry ON entry.reference = 'deposit-' || deposit.id
    CROSS JOIN LATERAL (
        VALUES (1, 'till', NULL::bigint, deposit.amount_twd), (2, 'deposits', deposit.customer_id, -deposit.amount_twd)
    ) AS line (position, account, customer_id, amount_twd)
    """,
)


def upgrade() -> None:
    """Create the tables; what was booked is never changed."""
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("order_id", sa.BigInteger, sa.ForeignKey("orders.id", name="ledger_entries_order_id_fkey")),
        sa.Column("driver_id", sa.BigInteger, sa.ForeignKey("drivers.id", name="ledger_entries_driver_id_fkey")),
        sa.Column("reference", sa.Text),
        sa.Column("note", sa.Text),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.UniqueConstraint("reference", name="ledger_entries_reference_key"),
        sa.CheckConstraint("kind IN ('sale', 'return', 'payment', 'deposit', 'hand_in', 'reversal')", "kind"),
    )
    op.create_index("ledger_entries_day_id_idx", "ledger_entries", ["day", "id"])
    op.create_index("ledger_entries_kind_id_idx", "ledger_entries", ["kind", "id"])
    op.create_index("ledger_entries_order_id_idx", "ledger_entries", ["order_id"])
    entry = sa.ForeignKey("ledger_entries.id", name="ledger_lines_entry_id_fkey")
    op.create_table(
        "ledger_lines",
        sa.Column("entry_id", sa.BigInteger, entry, primary_key=True),
        sa.Column("position", sa.SmallInteger, primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("customer_id", sa.BigInteger, sa.ForeignKey("customers.id", name="ledger_lines_customer_id_fkey")),
        sa.Column("driver_id", sa.BigInteger, sa.ForeignKey("drivers.id", name="ledger_lines_driver_id_fkey")),
        sa.Column("amount_twd", sa.BigInteger, nullable=False),
        sa.CheckConstraint(
            "account IN ('receivable', 'deposits', 'sales', 'driver_cash', 'till', 'bank', 'cash_difference')",
            "account",
        ),
        sa.CheckConstraint("amount_twd <> 0", "amount_twd"),
        sa.CheckConstraint("(account IN ('receivable', 'deposits')) = (customer_id IS NOT NULL)", "customer_id"),
        sa.CheckConstraint("(account = 'driver_cash') = (driver_id IS NOT NULL)", "driver_id"),
    )
    op.create_index(
        "ledger_lines_customer_id_account_entry_id_idx", "ledger_lines", ["customer_id", "account", "entry_id"]
    )
    op.create_index("ledger_lines_driver_id_entry_id_idx", "ledger_lines", ["driver_id", "entry_id"])
    op.execute(BALANCE)
    op.execute(BALANCE_TRIGGER)
    for statement in OPENING:
        op.execute(statement)
    _create_bills()
    for table, privileges in {
        "ledger_entries": "SELECT, INSERT",
        "ledger_lines": "SELECT, INSERT",
        "customer_accounts": "SELECT, INSERT, UPDATE",
        "bills": "SELECT, INSERT, UPDATE",
        "bill_items": "SELECT, INSERT",
    }.items():
        op.execute(f"GRANT {privileges} ON {table} TO {APP_ROLE}")


def _create_bills() -> None:
    customer = sa.ForeignKey("customers.id", name="customer_accounts_customer_id_fkey")
    op.create_table(
        "customer_accounts",
        sa.Column("customer_id", sa.BigInteger, customer, primary_key=True, autoincrement=False),
        sa.Column("monthly_since", sa.Date),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index(
        "customer_accounts_monthly_idx", "customer_accounts", ["customer_id"],
        postgresql_where=sa.text("monthly_since IS NOT NULL"),
    )  # fmt: skip
    op.create_table(
        "bills",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column(
            "customer_id", sa.BigInteger, sa.ForeignKey("customers.id", name="bills_customer_id_fkey"), nullable=False
        ),
        sa.Column("until", sa.Date, nullable=False),
        sa.Column("due_on", sa.Date, nullable=False),
        sa.Column("amount_twd", sa.BigInteger, nullable=False),
        sa.Column("pay_into", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("amount_twd > 0", "amount_twd"),
    )
    op.create_index("bills_customer_id_id_idx", "bills", ["customer_id", "id"])
    op.create_index("bills_pay_into_idx", "bills", ["pay_into"], unique=True)
    op.create_table(
        "bill_items",
        sa.Column("bill_id", sa.BigInteger, sa.ForeignKey("bills.id", name="bill_items_bill_id_fkey"), nullable=False),
        sa.Column(
            "entry_id", sa.BigInteger, sa.ForeignKey("ledger_entries.id", name="bill_items_entry_id_fkey"),
            primary_key=True, autoincrement=False,
        ),
        sa.Column("amount_twd", sa.BigInteger, nullable=False),
    )  # fmt: skip
    op.create_index("bill_items_bill_id_idx", "bill_items", ["bill_id"])
