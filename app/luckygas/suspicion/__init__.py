"""What is held against whom, and what follows from it: slowed, told to wait, blocked."""
