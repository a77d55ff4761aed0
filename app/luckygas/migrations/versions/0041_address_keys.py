"""What a fragment of an address is looked for in, kept beside the address; cylinders by place."""

from alembic import op

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    """Have the database keep it: to compute it for each row that is looked at was most of the time of a search.

    This rewrites both tables, which is only done as long as no release is installed anywhere.
    """
    for table in ("customers", "customer_addresses"):
        op.execute(f"ALTER TABLE {table} ADD COLUMN address_key text GENERATED ALWAYS AS (address_key(address)) STORED")
    op.create_index("cylinders_place_id_idx", "cylinders", ["place", "id"])
