"""An etcd that knows each namespace by its certificate, as the operator sets it up."""

from tests.servers import Etcdctl

OPERATOR = "leasehold"


def user_of(namespace: str) -> str:
    """The common name of a namespace's certificate, which is its user and its role."""
    return f"leasehold:ns/{namespace}"


def add_user(etcdctl: Etcdctl, name: str, prefix: str) -> None:
    """A user without a password who may read and write under this prefix, and nothing else."""
    etcdctl.run("role", "add", name)
    etcdctl.run("role", "grant-permission", name, "--prefix=true", "readwrite", prefix)
    etcdctl.run("user", "add", "--no-password", name)
    etcdctl.run("user", "grant-role", name, name)


def enable(etcdctl: Etcdctl, root: str = "/leasehold") -> None:
    """Turn authentication on; `etcdctl` connects as root, by its certificate. The operator may do all under `root`."""
    etcdctl.run("user", "add", "--no-password", "root")
    etcdctl.run("user", "grant-role", "root", "root")
    add_user(etcdctl, OPERATOR, f"{root}/")
    etcdctl.run("auth", "enable")


def admit(etcdctl: Etcdctl, namespace: str, root: str = "/leasehold") -> None:
    """A namespace's user, who may read and write the keys of its locks."""
    add_user(etcdctl, user_of(namespace), f"{root}/locks/{namespace}/")
