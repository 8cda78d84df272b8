"""Pods of the same images and probes as the chart's, which wait for nothing: what the node itself needs for them."""

import time
from typing import Any, Final

from tests.cluster import Cluster, Object, images
from tests.e2e.installation import ready
from tests.servers import wait_for

_SERVE: Final = ["python3", "-m", "http.server", "8080", "--directory", "/usr/share"]
_PROBE: Final = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 2}
_ETCD: Final = ["etcd", "--data-dir=/data/etcd", "--listen-metrics-urls=http://0.0.0.0:2381"]
_ETCD_PROBE: Final = {"httpGet": {"path": "/readyz", "port": 2381}, "periodSeconds": 1}
CHART: Final = ("etcd", "certificates", "operator-0", "operator-1")
APP: Final = ("app",)


def seconds_until_ready(cluster: Cluster, namespace: str, names: tuple[str, ...]) -> float:
    """From the first one's creation until all of these are Ready."""
    began = time.monotonic()
    for name in names:
        cluster.create("pods", _pod(name), namespace)
    wait_for(lambda: all(ready(pod) for pod in cluster.list("pods", namespace)), "the plain pods to be Ready")
    seconds = time.monotonic() - began
    for name in names:
        cluster.delete("pods", name, namespace)
    return seconds


def _pod(name: str) -> Object:
    container: dict[str, Any] = {"name": "one", "imagePullPolicy": "IfNotPresent"}
    if name == "etcd":
        mounts = [{"name": "data", "mountPath": "/data"}]
        container |= {"image": images.ETCD, "command": _ETCD, "readinessProbe": _ETCD_PROBE, "volumeMounts": mounts}
    elif name in APP:
        container |= {"image": images.SIDECAR, "command": _SERVE}
    else:
        container |= {"image": images.OPERATOR, "command": _SERVE, "readinessProbe": _PROBE}
    spec = {
        "containers": [container],
        "volumes": [{"name": "data", "emptyDir": {}}],
        "terminationGracePeriodSeconds": 0,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}
