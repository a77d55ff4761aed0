"""The steel that the gas travels in."""
