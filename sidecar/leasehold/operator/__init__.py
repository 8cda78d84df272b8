"""The operator: declares Lock resources in etcd, and reports their holders in their status."""
