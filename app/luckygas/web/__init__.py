"""What every request has in common, whatever it is about."""
