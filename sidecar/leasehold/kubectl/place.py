"""Where the Locks are. A file of its own, because it must not load the client."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClusterRef:
    """Which cluster and namespace, as kubectl's flags of these names say; empty where they were not given."""

    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
