"""`leasehold ui`: one page of all locks of an etcd, live, for whoever is on call. It reads and never writes."""
