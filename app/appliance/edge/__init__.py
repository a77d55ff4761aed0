"""The edge: whether it lets requests through."""
