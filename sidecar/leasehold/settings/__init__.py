"""Flags and environment variables: their table, their parsers, and the checks between them."""
