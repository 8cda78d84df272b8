"""How to reach the cluster: kubectl's own configuration, read by the official client."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path
from typing import Any, Final, cast

import urllib3.exceptions
import yaml
from kubernetes import client
from kubernetes import config as untyped
from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION

from leasehold.base.terminal import one_line
from leasehold.kubectl.cluster_ref import ClusterRef
from leasehold.kubectl.errors import ClusterError
from leasehold.kubectl.lock import table, text
from leasehold.lock.names import LockName

config: Any = untyped  # its functions have no annotations
_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_UNREADABLE: Final = (untyped.ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, KeyError)


def configure(ref: ClusterRef) -> tuple[client.Configuration, str]:
    """How to reach the cluster, and the namespace to use. Raises ClusterError."""
    logging.basicConfig(level=logging.ERROR, format="leasehold: %(message)s")  # the client logs errors of login helpers
    warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)  # the kubeconfig asks for it
    made = client.Configuration()
    try:
        namespace = _load(ref, made)
    except _UNREADABLE as error:
        raise ClusterError(_unusable(ref, error)) from error
    made.retries = cast(Any, False)  # for urllib3: no retries, so that errors name their cause
    return made, ref.namespace or _checked(namespace) or "default"


def _checked(namespace: str) -> str:
    """The kubeconfig's namespace, which becomes part of paths. Raises ClusterError if it is not valid."""
    try:
        return LockName(namespace, "any").namespace if namespace else ""
    except ValueError as error:
        raise ClusterError(f"In the kubeconfig {one_line(str(error))}.") from None


def _load(ref: ClusterRef, made: client.Configuration) -> str:
    """Fill in the configuration; returns its namespace, or ""."""
    path = ref.kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION
    present = any(Path(part).expanduser().exists() for part in path.split(os.pathsep) if part)
    if not present and not ref.kubeconfig and not ref.context and os.environ.get("KUBERNETES_SERVICE_HOST"):
        config.load_incluster_config(client_configuration=made)
        return _ACCOUNT.read_text().strip() if _ACCOUNT.exists() else ""
    if not present:
        raise config.ConfigException(f"there is no kubeconfig {path}")
    contexts, current = config.list_kube_config_contexts(path)
    chosen = next((one for one in contexts if one["name"] == ref.context), None) if ref.context else current
    if chosen is None:
        names = ", ".join(one_line(one["name"]) for one in contexts)
        raise config.ConfigException(f"it has no context {ref.context!r}; there are: {names}")
    config.load_kube_config(path, ref.context or None, client_configuration=made)
    return text(table(chosen, "context"), "namespace")


def _unusable(ref: ClusterRef, error: Exception) -> str:
    said = one_line(str(error)).removeprefix("Invalid kube-config file. ").rstrip(".")
    which = ref.kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION
    return (
        f"No cluster can be found by the kubeconfig {one_line(which)}: {said}; give --kubeconfig and --context, or "
        "set KUBECONFIG."
    )


def contexts(ref: ClusterRef) -> list[str]:
    """The names of the kubeconfig's contexts, for completion; none if it cannot be read."""
    try:
        found, _ = config.list_kube_config_contexts(ref.kubeconfig or None)
    except _UNREADABLE:
        return []
    return [str(one["name"]) for one in found]
