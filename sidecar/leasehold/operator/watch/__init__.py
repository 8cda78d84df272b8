"""What the operator knows: of Locks and pods from the API server, of queues from etcd."""
