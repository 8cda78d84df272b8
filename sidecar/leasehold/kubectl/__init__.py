"""`kubectl leasehold`: a cluster administrator's command line for Lock resources.

It calls only the API server, with kubectl's own configuration; `describe --etcd` also reads etcd. Only `cluster.py` and
`kubeconfig.py` import the `kubernetes` package; they are loaded only for commands that call the API server.
"""
