"""What is wrong or soon will be, why that matters, and what to type."""
