"""Changes that may lock the operator out: undone by themselves unless confirmed over a new connection."""
