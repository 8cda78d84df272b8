"""Flags and environment variables, and what they are checked for."""
