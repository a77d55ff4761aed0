"""The books: what is owed, paid and held, in double entry."""
