"""Which cluster to use. A file of its own, because it must not load the client."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClusterRef:
    """A cluster and namespace, by kubectl's flags of these names; empty if they were not given."""

    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
