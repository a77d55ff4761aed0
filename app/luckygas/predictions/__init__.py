"""When customers will order next, and whom to call for tomorrow."""
