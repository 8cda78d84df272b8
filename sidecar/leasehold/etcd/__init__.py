"""A thin asynchronous client of etcd's v3 API; the only part of Leasehold that knows gRPC.

`client.EtcdClient` is what to use, with the values of `model` and the exceptions of `errors`. Nothing is imported here,
so a program that uses one module does not pay for the others. Each module uses only those before it: `errors`, `tls`,
`endpoints`; `channel` and `connection`, one connection to one member; `dialer`, which member; `auth`; `session`, what
every call needs; `model` and `codec`, requests and answers; `lease` and `watch`, the streams; `client`, the whole.
"""
