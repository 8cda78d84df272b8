"""All caches of the operator in one value."""

from __future__ import annotations

from dataclasses import dataclass

from leasehold.operator.watch.locks import Locks
from leasehold.operator.watch.mirror import Mirror
from leasehold.operator.watch.pod_index import PodIndex
from leasehold.operator.watch.pods import Pods


@dataclass(frozen=True, slots=True)
class Caches:
    """All that is observed. The watches keep it up to date."""

    locks: Locks
    mirror: Mirror
    pods: Pods
    pod_index: PodIndex
