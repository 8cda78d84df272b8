"""Flags and environment variables: their table, their parsers, the checks between them, and etcd's client from them."""
