"""Who brings which orders on which day, and what was handed over."""
