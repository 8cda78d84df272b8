"""Kubernetes' API server: access, calls, and Leasehold's names there."""
