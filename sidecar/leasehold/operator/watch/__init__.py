"""What the operator knows: Locks and pods from the API server, queues from etcd."""
