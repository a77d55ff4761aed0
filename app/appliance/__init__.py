"""The machine's own hands: the `luckygas` command, on Debian's own Python."""
