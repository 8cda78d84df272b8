"""The documentation's two commands, from nothing to a singleton that is Ready, step by step."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from tests.cluster import Cluster, Object, images
from tests.cluster.node import PATIENCE
from tests.e2e.installation import CHARTS, CLIENT, NAMESPACE, Installation, ready
from tests.e2e.plain_pods import APP, CHART, seconds_until_ready
from tests.e2e.timeline import Timeline
from tests.servers import wait_for

_EXAMPLE: Final = CHARTS.parent / "manifests" / "examples" / "hello.yaml"
_NAMESPACE: Final = "default"
_WHERE: Final = (f"--namespace={_NAMESPACE}", "--filename=-")
_CHART_STEPS: Final = (
    ("certificates", "made", "the first pod is there"),
    ("certificates", "started certificates", "the program that makes certificates runs"),
    ("leasehold-etcd-server", "filled", "etcd's certificate is there"),
    ("etcd", "mounted", "… in etcd's pod"),
    ("etcd", "Ready", "etcd is Ready"),
    ("operator", "mounted", "the operators' certificates are in both pods"),
    ("operator", "started operator", "both operators run"),
    ("operator", "Ready", "both operators are Ready"),
)
_APP_STEPS: Final = (
    ("hello", "made", "the app's pod is there"),
    (CLIENT, "filled", "the namespace's certificate is there"),
    ("hello", "mounted", "… in the pod"),
    ("hello", "started leasehold", "the sidecar runs"),
    ("hello", "started app", "the app runs"),
    ("hello", "Ready", "the pod is Ready: it leads"),
)


@dataclass(frozen=True)
class FirstSteps:
    """The chart as the first command left it, the app's pod as the second did."""

    installation: Installation
    notes: str
    pod: Object
    seconds: float
    """For both commands together."""
    steps: list[tuple[str, float]]
    """What had come when, in seconds since the command before it."""

    @classmethod
    def take(cls, cluster: Cluster) -> Self:
        """Install the chart, then the example where nothing is prepared for it, and wait until its pod is Ready."""
        plain = cluster.make_namespace()
        steps = [("plain pods of the chart's images are Ready", seconds_until_ready(cluster, plain, CHART))]
        with Timeline(cluster) as timeline:
            installation, began = Installation(cluster), time.monotonic()
            notes = installation.install_as_documented()
            installed = time.monotonic()
            steps += _since(began, timeline, NAMESPACE, _CHART_STEPS)
            steps += [("`helm install --wait` returns", installed - began)]
            pod = _apply(cluster)
            seconds = time.monotonic() - began
            steps += _since(installed, timeline, _NAMESPACE, _APP_STEPS)
            cluster.kubectl("delete", "--wait=false", *_WHERE, stdin=_example())
        steps += [("a plain pod of the app's image is Ready", seconds_until_ready(cluster, plain, APP))]
        cluster.remove_namespace(plain)
        return cls(installation, notes, pod, seconds, steps)


def _apply(cluster: Cluster) -> Object:
    """The second command; the example's pod, once it is Ready."""
    cluster.kubectl("apply", *_WHERE, stdin=_example())
    found: list[Object] = []

    def one_is_ready() -> bool:
        found[:] = cluster.list("pods", _NAMESPACE, labels="app=hello")
        return len(found) == 1 and ready(found[0])

    wait_for(one_is_ready, "the example's pod to be Ready", PATIENCE)
    return found[0]


def _example() -> str:
    return _EXAMPLE.read_text().replace("registry.example/leasehold:0.1.0", images.SIDECAR)


def _since(
    began: float, timeline: Timeline, namespace: str, steps: Sequence[tuple[str, str, str]]
) -> list[tuple[str, float]]:
    """When each of these had come, of all its pods."""
    instants = ((label, timeline.last(namespace, part, fact)) for part, fact, label in steps)
    return [(label, at - began) for label, at in instants if at is not None]
