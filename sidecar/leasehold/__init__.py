"""Leasehold: leader election for Kubernetes pods, on etcd."""

__version__ = "0.1.0"
