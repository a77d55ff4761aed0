"""Predictions, what became of them, and suggested orders."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0020"

APP_ROLE = "luckygas_app"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "kind_demands",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("factors", sa.ARRAY(sa.Float), nullable=False),
        sa.Column("usual_days", sa.Float, nullable=False),
        sa.Column("intervals", sa.Integer, nullable=False),
        sa.Column("learned_on", sa.Date, nullable=False),
    )
    op.create_table(
        "predictions",
        sa.Column("customer_id", sa.BigInteger, _key("predictions", "customer"), primary_key=True, autoincrement=False),
        sa.Column("order_id", sa.BigInteger, _key("predictions", "order"), nullable=False),
        sa.Column("ordered_on", sa.Date, nullable=False),
        *_predicted(),
        sa.Column("intervals", sa.SmallInteger, nullable=False),
        sa.Column("made_on", sa.Date, nullable=False),
    )
    op.create_index("predictions_due_on_customer_id_idx", "predictions", ["due_on", "customer_id"])
    op.create_table(
        "prediction_errors",
        sa.Column("order_id", sa.BigInteger, _key("prediction_errors", "order"), primary_key=True, autoincrement=False),
        sa.Column("customer_id", sa.BigInteger, _key("prediction_errors", "customer"), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("ordered_on", sa.Date, nullable=False),
        *_predicted(),
    )
    op.create_index("prediction_errors_ordered_on_idx", "prediction_errors", ["ordered_on"])
    op.create_table(
        "suggestions",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("customer_id", sa.BigInteger, _key("suggestions", "customer"), nullable=False),
        sa.Column(
            "after_order_id",
            sa.BigInteger,
            sa.ForeignKey("orders.id", name="suggestions_after_order_id_fkey"),
            nullable=False,
        ),
        sa.Column("for_day", sa.Date, nullable=False),
        sa.Column("due_on", sa.Date, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("order_id", sa.BigInteger, _key("suggestions", "order")),
        sa.Column("reason", sa.Text),
        sa.Column("again_on", sa.Date),
        sa.Column("decided_by", sa.Text),
        sa.Column("decided_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("status IN ('open', 'accepted', 'dismissed', 'ordered')", "status"),
        sa.CheckConstraint("(status = 'accepted') = (order_id IS NOT NULL)", "order_id"),
    )
    op.create_index(
        "suggestions_open_customer_id_idx", "suggestions", ["customer_id"], unique=True,
        postgresql_where=sa.text("status = 'open'"),
    )  # fmt: skip
    op.create_index("suggestions_order_id_idx", "suggestions", ["order_id"], unique=True)
    for column in ("customer_id", "status", "for_day"):
        op.create_index(f"suggestions_{column}_id_idx", "suggestions", [column, "id"])
    op.create_table(
        "suggestion_lines",
        sa.Column(
            "suggestion_id",
            sa.BigInteger,
            sa.ForeignKey("suggestions.id", name="suggestion_lines_suggestion_id_fkey"),
            primary_key=True,
        ),
        sa.Column("cylinder_kg", sa.SmallInteger, primary_key=True),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.CheckConstraint("cylinder_kg IN (4, 10, 16, 20, 50)", "cylinder_kg"),
        sa.CheckConstraint("quantity > 0", "quantity"),
    )
    for table, privileges in {
        "kind_demands": "SELECT, INSERT, UPDATE",
        "predictions": "SELECT, INSERT, UPDATE",
        "prediction_errors": "SELECT, INSERT, DELETE",
        "suggestions": "SELECT, INSERT, UPDATE",
        "suggestion_lines": "SELECT, INSERT",
    }.items():
        op.execute(f"GRANT {privileges} ON {table} TO {APP_ROLE}")


def _key(table: str, of: str) -> sa.ForeignKey:
    return sa.ForeignKey(f"{of}s.id", name=f"{table}_{of}_id_fkey")


def _predicted() -> list[sa.Column]:
    return [
        sa.Column("due_on", sa.Date, nullable=False),
        sa.Column("by_last_interval", sa.Date),
        sa.Column("by_mean_interval", sa.Date),
    ]
