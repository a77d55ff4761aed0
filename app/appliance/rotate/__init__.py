"""Replacing secrets while everything that uses them serves."""
