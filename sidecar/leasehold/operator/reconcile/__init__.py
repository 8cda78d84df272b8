"""Locks brought to what is wanted of them, one key at a time, and their status told."""
