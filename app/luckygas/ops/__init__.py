"""What operators need from the service: logs and health."""
