"""What a request did, found by the id that its answer told people to quote."""

from alembic import op

revision = "0052"
down_revision = "0051"


def upgrade() -> None:
    """Index the ids of requests in the audit log."""
    op.create_index("audit_entries_request_id_idx", "audit_entries", ["request_id"])
