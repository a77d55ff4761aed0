"""Days that are closed, and that nothing is booked on any more."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0032"
down_revision = "0031"

APP_ROLE = "luckygas_app"

# Those who book share the lock, whoever closes has it alone: no entry is on its way to a day while it is closed. Each
# statement of such a function sees what was committed before it began, so what was waited for is seen.
OPEN_DAY = """
CREATE FUNCTION ledger_open_day(wanted date) RETURNS date LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(x'6c75636b796461'::bigint);
    RETURN (SELECT greatest(wanted, max(day) + 1) FROM closings);
END $$
"""
HELD_OPEN = """
CREATE FUNCTION ledger_day_is_open() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.day <> ledger_open_day(NEW.day) THEN
        RAISE EXCEPTION 'the books of % are closed', NEW.day USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$
"""
HELD_OPEN_TRIGGER = """
CREATE TRIGGER day_is_open BEFORE INSERT ON ledger_entries
FOR EACH ROW EXECUTE FUNCTION ledger_day_is_open()
"""
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
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    """Create the table and let the database hold what is closed."""
    op.create_table(
        "closings",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("report", postgresql.JSONB, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.UniqueConstraint("day", name="closings_day_key"),
    )
    for statement in (OPEN_DAY, HELD_OPEN, HELD_OPEN_TRIGGER, LINES):
        op.execute(statement)
    op.execute(f"GRANT SELECT, INSERT ON closings TO {APP_ROLE}")
