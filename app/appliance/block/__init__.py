"""Blocking: addresses from which nothing reaches the machine any more, each until a time."""
