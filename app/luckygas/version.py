"""The version of the service; the wheel, the API and the logs all take it from here."""

__version__ = "0.1.0"
