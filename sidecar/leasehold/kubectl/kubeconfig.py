"""Which cluster is meant: kubectl's own configuration, read by the official client as kubectl would read it."""

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

from leasehold.kubectl.errors import ClusterError
from leasehold.kubectl.lock import printable, table, text
from leasehold.kubectl.place import ClusterRef
from leasehold.lock.names import LockName

config: Any = untyped  # its functions have no annotations
_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_UNREADABLE: Final = (untyped.ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, KeyError)


def configure(place: ClusterRef) -> tuple[client.Configuration, str]:
    """How to reach the cluster, and the namespace to use. Raises ClusterError."""
    logging.basicConfig(level=logging.ERROR, format="leasehold: %(message)s")  # how the client tells of login helpers
    warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)  # the user chose it in the kubeconfig
    made = client.Configuration()
    try:
        namespace = _load(place, made)
    except _UNREADABLE as error:
        raise ClusterError(_unusable(place, error)) from error
    made.retries = cast(Any, False)  # for urllib3: fail at once, and say why
    return made, place.namespace or _checked(namespace) or "default"


def _checked(namespace: str) -> str:
    """A namespace that the configuration names: it is put into paths. Raises ClusterError."""
    try:
        return LockName(namespace, "any").namespace if namespace else ""
    except ValueError as error:
        raise ClusterError(f"In the kubeconfig {printable(str(error))}.") from None


def _load(place: ClusterRef, made: client.Configuration) -> str:
    """Fill in the configuration; returns the namespace that it names."""
    path = place.kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION
    present = any(Path(part).expanduser().exists() for part in path.split(os.pathsep) if part)
    if not present and not place.kubeconfig and not place.context and os.environ.get("KUBERNETES_SERVICE_HOST"):
        config.load_incluster_config(client_configuration=made)
        return _ACCOUNT.read_text().strip() if _ACCOUNT.exists() else ""
    if not present:
        raise config.ConfigException(f"there is no kubeconfig {path}")
    contexts, current = config.list_kube_config_contexts(path)
    chosen = next((one for one in contexts if one["name"] == place.context), None) if place.context else current
    if chosen is None:
        names = ", ".join(printable(one["name"]) for one in contexts)
        raise config.ConfigException(f"it has no context {place.context!r}; there are: {names}")
    config.load_kube_config(path, place.context or None, client_configuration=made)
    return text(table(chosen, "context"), "namespace")


def _unusable(place: ClusterRef, error: Exception) -> str:
    said = printable(str(error)).removeprefix("Invalid kube-config file. ").rstrip(".")
    which = place.kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION
    return (
        f"No cluster can be found by the kubeconfig {printable(which)}: {said}; give --kubeconfig and --context, or "
        "set KUBECONFIG."
    )


def contexts(place: ClusterRef) -> list[str]:
    """The names of the kubeconfig's contexts, for completion; none when it cannot be read."""
    try:
        found, _ = config.list_kube_config_contexts(place.kubeconfig or None)
    except _UNREADABLE:
        return []
    return [str(one["name"]) for one in found]
