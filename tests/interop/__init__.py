"""Others in our queue, and ours in theirs: etcd's own clients, and an independent one."""
