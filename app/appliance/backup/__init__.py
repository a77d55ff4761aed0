"""WAL archive, backups, their proof, and the ways back. Standard library only."""
