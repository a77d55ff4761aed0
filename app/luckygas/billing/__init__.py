"""How money comes in: payments, monthly accounts and their bills."""
