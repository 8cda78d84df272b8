"""The election in virtual time: machines against a model etcd, under every fault the design names, from one seed."""
