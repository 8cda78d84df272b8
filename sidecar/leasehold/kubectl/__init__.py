"""`kubectl leasehold`: a cluster administrator's command line for Lock resources.

It calls only the API server, by way of a kubectl that it starts with the user's flags (`link.py`, `kubectl_proxy.py`),
so that it asks as kubectl would: the same server, as the same user. With `--etcd`, etcd is read too.
"""
