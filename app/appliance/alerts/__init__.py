"""Alerts: what fires, and whether anybody would learn of it."""
