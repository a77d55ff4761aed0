"""What alembic runs around the migrations: on the connection that it is given, in one transaction."""

from alembic import context

from luckygas.models import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
connection.commit()
