"""The documentation's two commands, from nothing to a singleton that is Ready."""

import time
from dataclasses import dataclass
from typing import Final, Self

from tests.cluster import Cluster, Object, images
from tests.cluster.node import PATIENCE
from tests.e2e.installation import CHARTS, Installation, ready
from tests.servers import wait_for

_EXAMPLE: Final = CHARTS.parent / "manifests" / "examples" / "hello.yaml"
_NAMESPACE: Final = "default"


@dataclass(frozen=True)
class FirstSteps:
    """The chart as the first command left it, the app's pod as the second did; `seconds` for both together."""

    installation: Installation
    notes: str
    pod: Object
    seconds: float

    @classmethod
    def take(cls, cluster: Cluster) -> Self:
        """Install the chart, then the example where nothing is prepared for it, and wait until its pod is Ready."""
        installation, began = Installation(cluster), time.monotonic()
        notes = installation.install_as_documented()
        example = _EXAMPLE.read_text().replace("registry.example/leasehold:0.1.0", images.SIDECAR)
        cluster.kubectl("apply", f"--namespace={_NAMESPACE}", "-f", "-", stdin=example)
        found: list[Object] = []

        def one_is_ready() -> bool:
            found[:] = cluster.list("pods", _NAMESPACE, labels="app=hello")
            return len(found) == 1 and ready(found[0])

        wait_for(one_is_ready, "the example's pod to be Ready", PATIENCE)
        seconds = time.monotonic() - began
        cluster.kubectl("delete", f"--namespace={_NAMESPACE}", "--wait=false", "-f", "-", stdin=example)
        return cls(installation, notes, found[0], seconds)
