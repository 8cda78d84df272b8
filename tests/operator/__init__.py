"""The operator on a real API server and a real etcd."""
