"""What a lock is: its names, its keys in etcd and what stands in them, and why a candidate does not hold. Pure."""
