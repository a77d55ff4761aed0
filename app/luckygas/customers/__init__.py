"""Who buys gas."""
