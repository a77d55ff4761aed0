"""The Lucky Gas service."""
