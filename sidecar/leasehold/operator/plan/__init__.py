"""Decides what to do about one lock, without I/O."""
