"""What alembic runs around the migrations: on the connection that it is given, in one transaction."""

from alembic import context

from luckygas.models import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    # The queue's own tables have no models of ours.
    include_name=lambda name, kind, _: kind != "table" or not name.startswith("procrastinate_"),
)
with context.begin_transaction():
    context.run_migrations()
if context.config.attributes["keep"]:
    connection.commit()
else:
    connection.rollback()
