"""Each namespace its own etcd user: an account and a Secret with a certificate for every namespace in use.

`model`, `names`, `uses` and `plan` decide, and do no I/O. `accounts`, `secrets` and `authority` read and write one
thing each. `controller` joins them, in the active replica. It has a connection and a certificate of its own.
"""
