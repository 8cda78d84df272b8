"""Brings locks to their desired state, one key at a time, and reports their status."""
