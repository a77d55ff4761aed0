"""Who brings the gas, and how much their truck carries."""
