"""The firewall: which rules are in force, and how others come into force without locking anybody out."""
