"""Work for later, kept in PostgreSQL: it is enqueued in the transaction that causes it, and takes effect once."""
