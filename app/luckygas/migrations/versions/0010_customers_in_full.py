"""Several addresses, usual cylinders and deposits of customers; search by parts of numbers and addresses."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0003"

APP_ROLE = "luckygas_app"

# What does not matter in an address: blanks, width, the two ways to write 臺 and to write the number of a section.
ADDRESS_KEY = """
CREATE FUNCTION address_key(address text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN lower(translate(normalize(address, NFKC), '台一二三四五六七八九 ', '臺123456789'))
"""
ADDRESS_PAIRS = """
CREATE FUNCTION address_pairs(address text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN ARRAY(
    SELECT DISTINCT substr(public.address_key(address), start, 2)
    FROM generate_series(1, length(public.address_key(address)) - 1) AS start
)
"""

# The first migration gave these names in full, and the naming rule added its parts once more.
DOUBLED_NAMES = """
DO $$
DECLARE found record;
BEGIN
    FOR found IN
        SELECT conrelid::regclass AS place, conname AS old, substr(conname, length(relname) + 2) AS whole
        FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
        WHERE contype = 'c' AND starts_with(conname, relname || '_' || relname || '_')
    LOOP
        EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I',
            found.place, found.old, regexp_replace(found.whole, '_check$', ''));
    END LOOP;
END $$
"""


def upgrade() -> None:
    """Create the tables, the functions of the search and their indexes."""
    op.execute(DOUBLED_NAMES)
    op.add_column("customers", sa.Column("landline", sa.Text))
    op.add_column("customers", sa.Column("version", sa.Integer, server_default="1", nullable=False))
    op.create_check_constraint("landline", "customers", "landline ~ '^0[2-8][0-9]{7,8}$'")
    customer_id = sa.ForeignKey("customers.id", name="customer_addresses_customer_id_fkey")
    op.create_table(
        "customer_addresses",
        sa.Column("customer_id", sa.BigInteger, customer_id, primary_key=True),
        sa.Column("position", sa.SmallInteger, primary_key=True),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
    )
    customer_id = sa.ForeignKey("customers.id", name="customer_usual_cylinders_customer_id_fkey")
    op.create_table(
        "customer_usual_cylinders",
        sa.Column("customer_id", sa.BigInteger, customer_id, primary_key=True),
        sa.Column("cylinder_kg", sa.SmallInteger, primary_key=True),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.CheckConstraint("cylinder_kg IN (4, 10, 16, 20, 50)", "cylinder_kg"),
        sa.CheckConstraint("quantity > 0", "quantity"),
    )
    customer_id = sa.ForeignKey("customers.id", name="customer_deposits_customer_id_fkey")
    op.create_table(
        "customer_deposits",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("customer_id", sa.BigInteger, customer_id, nullable=False),
        sa.Column("amount_twd", sa.Integer, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("amount_twd <> 0", "amount_twd"),
    )
    op.create_index("customer_deposits_customer_id_id_idx", "customer_deposits", ["customer_id", "id"])
    op.create_index("customer_deposits_created_at_idx", "customer_deposits", ["created_at"])
    op.execute(ADDRESS_KEY)
    op.execute(ADDRESS_PAIRS)
    for column in ("mobile", "landline"):
        op.execute(f"CREATE INDEX customers_{column}_reversed_idx ON customers (reverse({column}) text_pattern_ops)")
    for table in ("customers", "customer_addresses"):
        op.execute(
            f"CREATE INDEX {table}_address_pairs_idx ON {table} USING gin (address_pairs(address)) "
            "WITH (fastupdate = off)"
        )
    for table, privileges in {
        "customers": "UPDATE",
        "customer_addresses": "SELECT, INSERT, UPDATE, DELETE",
        "customer_usual_cylinders": "SELECT, INSERT, UPDATE, DELETE",
        "customer_deposits": "SELECT, INSERT",
    }.items():
        op.execute(f"GRANT {privileges} ON {table} TO {APP_ROLE}")
