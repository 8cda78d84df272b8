"""Pods that ask for a sidecar by label and annotations, and whoever makes them."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from leasehold.lock.kube_names import OPT_IN_LABEL
from tests.cluster import Cluster, Object, images
from tests.cluster.node import PATIENCE
from tests.e2e.installation import ready
from tests.e2e.workload import LONG_SECONDS, place_app
from tests.servers import wait_for

Body = dict[str, Any]
HEALTH = ":8080/healthz"


def template(lock: str, *, annotations: Mapping[str, str] | None = None, command: str = "python3 /app/app.py") -> Body:
    """A pod's metadata and spec, as a user writes them who knows only the label and the annotations."""
    container = {
        "name": "app",
        "image": images.APP,
        "command": ["sh", "-c", f"exec {command}"],
        "volumeMounts": [{"name": "app", "mountPath": "/app"}],
        "readinessProbe": None,
    }
    given = {"leasehold.dev/lock": lock, "leasehold.dev/app-health": HEALTH, **(annotations or {})}
    return {
        "metadata": {"labels": {"app": lock, "leasehold.dev/inject": "true"}, "annotations": given},
        "spec": {
            "terminationGracePeriodSeconds": 5,
            "containers": [container],
            "volumes": [{"name": "app", "configMap": {"name": "app"}}],
        },
    }


def declare(cluster: Cluster, own: str, name: str) -> None:
    place_app(cluster, own)
    lock = {"apiVersion": "leasehold.dev/v1alpha1", "kind": "Lock", "metadata": {"name": name}}
    cluster.apply({**lock, "spec": {"leaseDurationSeconds": LONG_SECONDS}}, namespace=own)


def enrol(cluster: Cluster, own: str) -> None:
    """Have the namespace's certificate made although it has no Lock yet."""
    cluster.patch("namespaces", own, {"metadata": {"labels": {OPT_IN_LABEL: "enabled"}}})


def workload(kind: str, name: str, pod: Body, **spec: Any) -> Body:
    selector = {"matchLabels": {"app": name}}
    body = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}}
    return {**body, "spec": {"replicas": 1, "selector": selector, "template": pod, **spec}}


def wait_pod(cluster: Cluster, own: str, name: str) -> Object:
    """The one pod of that app, once it is ready."""
    found: list[Object] = []

    def one_is_ready() -> bool:
        found[:] = cluster.list("pods", own, labels=f"app={name}")
        return len(found) == 1 and ready(found[0])

    wait_for(one_is_ready, f"one pod of {name}, ready", PATIENCE)
    return found[0]


def batch() -> Body:
    """A pod that queues for the lock `batch` and ends in a moment."""
    pod = template("batch", command="python3 -c 'import time; time.sleep(3)'")
    del pod["metadata"]["annotations"]["leasehold.dev/app-health"]
    pod["spec"]["restartPolicy"] = "Never"
    return pod


def job(name: str, pod: Body) -> Body:
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": pod}}


class Creating:
    """Makes injected pods, one after the other, until it is left; `failed` are the API server's words."""

    def __init__(self, cluster: Cluster, own: str) -> None:
        self.made = 0
        self.failed: list[str] = []
        self._cluster, self._own, self._over = cluster, own, False
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> "Creating":
        self._running = self._pool.submit(self._go_on)
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._running.result(60)
        self._pool.shutdown()

    def _go_on(self) -> None:
        while not self._over:
            pod = template("reports")
            pod["metadata"]["name"] = f"made-{self.made + len(self.failed)}"
            pod["spec"]["nodeName"] = "nowhere"  # it is the admission that is tried: nothing runs them
            try:
                self._cluster.create("pods", pod, self._own)
                self.made += 1
            except Exception as error:
                self.failed.append(str(error))
            time.sleep(0.05)
