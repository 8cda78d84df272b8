"""A running candidate: the election fed with what etcd answers, and what others may know of it."""
