"""PostgreSQL: connections, sessions, the base of all models, migrations."""
