"""Bringing another release of the service into force while it serves, and going back."""
