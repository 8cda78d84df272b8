"""When what happened to pods and Secrets, by this process's clock, as the API server told it while it happened."""

import contextlib
import http.client
import threading
import time
from collections.abc import Iterator
from typing import Final, Self

from tests.cluster import Cluster, Object
from tests.cluster.line import Line

_KINDS: Final = ("pods", "secrets")
_MOUNTED: Final = "PodReadyToStartContainers"
"""The kubelet's condition: volumes are mounted, and the pod has its network."""


class Timeline:
    """Watches all pods and Secrets of the cluster; each fact is noted when it is first seen."""

    def __init__(self, cluster: Cluster) -> None:
        self._lines = [Line(cluster, timeout=3600) for _ in _KINDS]
        self._threads = [
            threading.Thread(target=self._watch, args=each, daemon=True)
            for each in zip(self._lines, _KINDS, strict=True)
        ]
        self._seen: dict[tuple[str, str, str, str], float] = {}

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for line in self._lines:
            line.hang_up()
        for thread in self._threads:
            thread.join(30)
        for line in self._lines:
            line.close()

    def _watch(self, line: Line, kind: str) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):  # it is hung up
            for event in line.stream(f"/api/v1/{kind}?watch=true"):
                now, metadata = time.monotonic(), event["object"]["metadata"]
                for fact in _pod(event["object"]) if kind == "pods" else _secret(event["object"]):
                    self._seen.setdefault((metadata["namespace"], _part(metadata), metadata["name"], fact), now)

    def last(self, namespace: str, part: str, fact: str) -> float | None:
        """When the last one of that part was seen so, by the monotonic clock; None if none was."""
        wanted = (namespace, part, fact)
        instants = [at for (place, of, _, seen), at in list(self._seen.items()) if (place, of, seen) == wanted]
        return max(instants, default=None)


def _part(metadata: Object) -> str:
    """What an object is of: the chart's component, the app, or its own name."""
    labels = metadata.get("labels", {})
    if "pod-template-hash" in labels or "controller-revision-hash" in labels or "app" in labels:
        return str(labels.get("app.kubernetes.io/component") or labels.get("app", ""))
    return str(metadata["name"])


def _pod(pod: Object) -> Iterator[str]:
    """`made`, `mounted`, `started NAME` and `Ready`, as far as the pod has come."""
    yield "made"
    status = pod["status"]
    for each in status.get("conditions", ()):
        if each["status"] == "True" and each["type"] in (_MOUNTED, "Ready"):
            yield "mounted" if each["type"] == _MOUNTED else "Ready"
    for each in [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]:
        if each.get("started"):
            yield f"started {each['name']}"


def _secret(secret: Object) -> Iterator[str]:
    yield "made"
    if secret.get("data"):
        yield "filled"
