"""Leasehold's names in the Kubernetes API: the Lock resource, and the labels and annotations that mean something to us.

They are the same as in manifests/crd.yaml and in the charts. Users see all of them: changing one breaks clusters.
"""

from __future__ import annotations

from typing import Final

GROUP: Final = "leasehold.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "Lock"
PLURAL: Final = "locks"
QUALIFIED: Final = f"lock.{GROUP}"
"""How kubectl names a Lock in `-o name` and in its messages, before the slash."""
KUBECTL_NAMES: Final = ("lk", "lock", PLURAL, QUALIFIED, f"{PLURAL}.{GROUP}")
"""The resource types by which kubectl knows Locks; `lk` is the short name in the CustomResourceDefinition."""

PREFIX: Final = f"{GROUP}/"
"""Of all our labels, annotations and finalizers."""

# --- on Locks ---

FINALIZER: Final = f"{PREFIX}release"
FORCE_DELETE: Final = f"{PREFIX}force-delete"
"""The annotation that lets a Lock be deleted although etcd cannot be reached; its value is `true`."""
CANARY_VALUE: Final = f"{PREFIX}canary"
"""The annotation that the operator changes to see whether its watch delivers."""

CANARY: Final = "leasehold-operator-canary"
"""The Lock, in the operator's own namespace, whose annotation the operator changes every 20 seconds."""

# --- on pods and namespaces ---

LEADER_LABEL: Final = f"{PREFIX}leader"
"""Set by the operator to `true` on a pod that leads."""
LEADER_OF: Final = f"{PREFIX}leader-of"
"""Annotation set by the operator: the locks that the pod leads, separated by commas."""
INJECT_LABEL: Final = f"{PREFIX}inject"
"""A pod with this label set to `true` gets its sidecar from the injector."""
INJECTED: Final = f"{PREFIX}injected"
"""Annotation set by the injector: the injector's version."""
REFUSED: Final = f"{PREFIX}refused"
"""Annotation that never lasts: one admission policy tells another by it why a pod is refused."""
OPT_IN_LABEL: Final = f"{PREFIX}injection"
"""A namespace with this label set to `enabled` has opted in to injection."""


def locks_path(namespace: str = "", name: str = "") -> str:
    """The URL path of one Lock, of a namespace's Locks, or of all Locks. No argument may hold a slash."""
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{API_VERSION}{where}/{PLURAL}" + (f"/{name}" if name else "")
