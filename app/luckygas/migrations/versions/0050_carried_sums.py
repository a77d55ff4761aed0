"""What the accounts came to at an entry, so that adding up need not begin at the first one."""

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0004"

APP_ROLE = "luckygas_app"

LINES = """
CREATE OR REPLACE FUNCTION ledger_lines_come_to_zero() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE wrong bigint;
BEGIN
    SELECT entry_id INTO wrong FROM added GROUP BY entry_id HAVING sum(amount_twd) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the lines of ledger entry % do not come to zero', wrong USING ERRCODE = 'check_violation';
    END IF;
    SELECT id INTO wrong FROM ledger_entries
    WHERE id IN (SELECT entry_id FROM added) AND day <= (SELECT max(day) FROM closings) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'ledger entry % is of a day that is closed', wrong USING ERRCODE = 'check_violation';
    END IF;
    SELECT entry_id INTO wrong FROM added WHERE entry_id <= (SELECT max(up_to) FROM ledger_carried) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'ledger entry % was carried forward as it is', wrong USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    """Create the table, and let the database hold that nothing is added to what was carried forward."""
    op.create_table(
        "ledger_carried",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column(
            "up_to", sa.BigInteger, sa.ForeignKey("ledger_entries.id", name="ledger_carried_up_to_fkey"), nullable=False
        ),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("driver_id", sa.BigInteger, sa.ForeignKey("drivers.id", name="ledger_carried_driver_id_fkey")),
        sa.Column("amount_twd", sa.BigInteger, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    )
    op.create_index(
        "ledger_carried_up_to_account_driver_id_idx", "ledger_carried", ["up_to", "account", "driver_id"],
        unique=True, postgresql_nulls_not_distinct=True,
    )  # fmt: skip
    op.execute(LINES)
    op.execute(f"GRANT SELECT, INSERT ON ledger_carried TO {APP_ROLE}")
