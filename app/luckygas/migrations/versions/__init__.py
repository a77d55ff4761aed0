"""One file for each revision; its name starts with its number."""
