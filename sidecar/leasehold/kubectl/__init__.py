"""`kubectl leasehold`: Lock resources from the command line of whoever looks after a cluster.

It talks to the API server alone, as kubectl does and with kubectl's own configuration; only `describe --etcd` asks
etcd too. Only `cluster.py` and `kubeconfig.py` import the `kubernetes` package, and they are not loaded before a
cluster is to be asked.
"""
