"""A company that does not exist, to try things on: plausible, of any size, and the same for the same seed."""
