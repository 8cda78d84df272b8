"""What was heard of a cluster. Values only: the plugin makes them, `kube_rows` judges them.

Objects are as the API server sent them, read without trust by `text`, `table` and their like. In place of what could
not be asked stands the reason, a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Object = Mapping[str, Any]
Objects = Sequence[Object]
Asked = Objects | str
"""What a list returned, or why it could not be asked."""


@dataclass(frozen=True, slots=True)
class Right:
    """One right that the operator needs; `allowed` is None if nobody would say, for the reason in `why`."""

    verb: str
    resource: str
    allowed: bool | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class SidecarAnswer:
    """What the sidecar in a pod answered to `/readyz`; `status` is 0 if it could not be asked, for `text`'s reason."""

    pod: str
    status: int
    text: str


@dataclass(frozen=True, slots=True)
class KubeFacts:
    """All of it. Those of pods, workloads and budgets are of the namespaces that were looked at."""

    version: Object | str
    locks: Asked
    deployments: Asked
    """Those of Leasehold's own parts, in all namespaces."""
    webhooks: Asked
    policies: Asked
    pods: Asked
    workloads: Asked
    """Deployments and StatefulSets, each with its `kind`."""
    budgets: Asked
    secrets: Mapping[str, Mapping[str, bool | str]] = field(default_factory=dict)
    """By namespace and name: whether it exists, or why that could not be asked."""
    rights: Sequence[Right] = ()
    sidecars: Sequence[SidecarAnswer] = ()
