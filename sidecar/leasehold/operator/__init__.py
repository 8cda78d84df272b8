"""The operator: Lock resources of Kubernetes into keys of etcd, and who holds them into their status."""
