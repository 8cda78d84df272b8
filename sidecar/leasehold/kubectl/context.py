"""What sentences and paths need of a kubeconfig that kubectl has read. Pure.

Nothing here decides who asks or which server is asked: kubectl does. Only the namespace takes effect: it is part of the
paths, and kubectl does not tell the one that it would use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from leasehold.base.terminal import one_line
from leasehold.kubectl.connection import value_of
from leasehold.kubectl.errors import ClusterError
from leasehold.kubectl.lock import items, table, text
from leasehold.lock.names import LockName

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its service account."""
_NO_CONFIG: Final = "http://localhost:8080 (kubectl's default: no kubeconfig names another)"
"""What kubectl asks if nothing says where the API server is."""


@dataclass(frozen=True, slots=True)
class Context:
    """`login` is the program that kubectl gets credentials from, or ""."""

    namespace: str
    server: str
    login: str = ""


@dataclass(frozen=True, slots=True)
class Pod:
    """What a pod gives kubectl to find its cluster by; empty outside of one."""

    server: str = ""
    namespace: str = ""


def context_of(config: Mapping[str, Any], flags: Sequence[str], pod: Pod) -> Context:
    """The context that kubectl uses with these flags. Raises ClusterError if its namespace is not valid."""
    name = value_of(flags, "context") or text(config, "current-context")
    context = _named(config, "contexts", name, "context")
    cluster = _named(config, "clusters", value_of(flags, "cluster") or text(context, "cluster"), "cluster")
    user = _named(config, "users", value_of(flags, "user") or text(context, "user"), "user")
    return Context(
        _checked(text(context, "namespace") or pod.namespace or "default"),
        value_of(flags, "server") or text(cluster, "server") or pod.server or _NO_CONFIG,
        text(table(user, "exec"), "command"),
    )


def _named(config: Mapping[str, Any], kind: str, name: str, field: str) -> Mapping[str, Any]:
    return next((table(one, field) for one in items(config, kind) if text(one, "name") == name), {})


def _checked(namespace: str) -> str:
    """The namespace, which becomes part of paths."""
    try:
        return LockName(namespace, "any").namespace
    except ValueError as error:
        raise ClusterError(f"In the kubeconfig {one_line(str(error))}.") from None


def read_pod(environ: Mapping[str, str], account: Path = ACCOUNT) -> Pod:
    """What this process finds if it runs in a pod, by the rules of kubectl's in-cluster configuration."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port or not (account / "token").is_file():
        return Pod()
    namespace = environ.get("POD_NAMESPACE", "")
    if not namespace:
        try:
            namespace = (account / "namespace").read_text().strip()
        except (OSError, ValueError):
            namespace = ""
    host = f"[{host}]" if ":" in host else host
    return Pod(f"https://{host}:{port}", namespace)
