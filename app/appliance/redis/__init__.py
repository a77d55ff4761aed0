"""The Redis pair and its sentinels: who is master, planned changes, restarts, and settings that change live."""
