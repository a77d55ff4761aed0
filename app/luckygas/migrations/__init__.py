"""Migrations of the schema: each release expands it, and a later one takes away what nobody uses any more."""
