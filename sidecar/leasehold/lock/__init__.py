"""What a lock is in etcd: its names, its keys, and what stands in them. Pure."""
