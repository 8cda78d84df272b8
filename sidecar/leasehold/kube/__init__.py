"""Kubernetes' API server: access, and calls."""
