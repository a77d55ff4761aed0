"""What customers have asked for."""
