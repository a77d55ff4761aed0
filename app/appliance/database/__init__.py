"""Which PostgreSQL instance leads: decided, fenced, repaired and shown. Standard library only."""
