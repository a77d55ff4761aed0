"""SSH: how one logs in, and who could."""
