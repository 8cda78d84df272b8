"""The app of the tests, deployed by the singleton chart beside its sidecar, and what becomes of its pods."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.cluster import Cluster, Object, images
from tests.cluster.node import PATIENCE
from tests.e2e.installation import CHARTS, NAMESPACE, RELEASE, ready
from tests.servers import wait_for

ETCD: Final = f"https://{RELEASE}-etcd-0.{RELEASE}-etcd.{NAMESPACE}.svc:2379"
TTL: Final = 5
LONG_SECONDS: Final = 60
"""Of a lease whose end no test waits for: one that ends although its pod lives is another term."""
_APP: Final = Path(__file__).parent / "programs" / "app.py"


class Workload:
    """One release of the singleton chart, in a namespace; `values` are the chart's own, by their dotted names."""

    def __init__(self, cluster: Cluster, namespace: str, name: str = "one", **values: Any) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.name = name
        self.labels = f"app.kubernetes.io/instance={name}"
        self.charts = CHARTS
        """Where the singleton chart is; it may be changed before an upgrade."""
        self._values = values
        self._env: dict[str, str] = {}

    def install(self, env: Mapping[str, str] | None = None, **values: Any) -> None:
        """Install it; `env` is the app's. It doesn't wait: nobody leads yet."""
        place_app(self.cluster, self.namespace)
        self._helm("install", env, values)

    def upgrade(self, env: Mapping[str, str] | None = None, *words: str, **values: Any) -> None:
        """Change it, as `helm upgrade` does: what was set before stays set."""
        self._helm("upgrade", env, values, *words)

    def rollback(self) -> None:
        """`helm rollback` to the release before."""
        self.cluster.helm("rollback", self.name, f"--namespace={self.namespace}", "--wait", "--timeout=8m")

    def _helm(self, verb: str, env: Mapping[str, str] | None, values: Mapping[str, Any], *words: str) -> None:
        self._env |= env or {}
        self._values |= values
        chosen = {
            "app.image": images.APP,
            "app.command": ["python3", "/app/app.py"],
            "app.env": [{"name": name, "value": value} for name, value in self._env.items()],
            "app.volumes": [{"name": "app", "configMap": {"name": "app"}}],
            "app.volumeMounts": [{"name": "app", "mountPath": "/app"}],
            "lock.leaseDurationSeconds": TTL,
            "leasehold.etcd.endpoints": [ETCD],
            "leasehold.etcd.secretName": "leasehold-etcd-client",
            **self._values,
        }
        flags = [f"--set-json={name}={json.dumps(value)}" for name, value in chosen.items()]
        self.cluster.helm(verb, self.name, self.charts / "singleton", f"--namespace={self.namespace}", *words, *flags)

    # --- what becomes of it -----------------------------------------------------------------------------------

    def kubectl(self, *words: str, timeout: float = 510) -> str:
        """kubectl in its namespace."""
        return self.cluster.kubectl("-n", self.namespace, *words, timeout=timeout)

    def rollout(self, kind: str = "deployment") -> str:
        """`kubectl rollout status`, which returns when the rollout is complete."""
        return self.kubectl("rollout", "status", f"{kind}/{self.name}", "--timeout=8m")

    def pods(self) -> list[Object]:
        """All its pods, those on their way out too."""
        return self.cluster.list("pods", self.namespace, labels=self.labels)

    def ready_pods(self) -> list[str]:
        """The names of those that are Ready and not on their way out."""
        return [
            pod["metadata"]["name"] for pod in self.pods() if ready(pod) and "deletionTimestamp" not in pod["metadata"]
        ]

    def wait_ready(self, number: int = 1, timeout: float = PATIENCE) -> list[str]:
        """Wait until exactly so many pods are there, all Ready; their names."""
        wait_for(lambda: len(self.pods()) == len(self.ready_pods()) == number, f"{number} ready pods", timeout)
        return self.ready_pods()

    def endpoints(self) -> list[str]:
        """The addresses that its Service routes to."""
        labels = f"kubernetes.io/service-name={self.name}"
        slices = self.cluster.list("endpointslices", self.namespace, labels=labels)
        return [
            address
            for found in slices
            for endpoint in found.get("endpoints") or ()
            if endpoint["conditions"].get("ready")
            for address in endpoint["addresses"]
        ]

    def lock(self) -> Object:
        """Its Lock's status."""
        found = self.cluster.get("locks", self.name, self.namespace)
        assert found is not None
        status: Object = found.get("status", {})
        return status

    def wait_held(self, *, by: str = "", timeout: float = PATIENCE) -> Object:
        """Wait until its Lock's status says that somebody holds it, or that pod; the status."""
        found: list[Object] = []

        def held() -> bool:
            found[:] = [self.lock()]
            holder = found[0].get("holderIdentity", "")
            return bool(holder) and by in ("", holder)

        wait_for(held, f"{by or 'somebody'} to hold {self.name}", timeout)
        return found[0]


def place_app(cluster: Cluster, namespace: str) -> None:
    """Make the app's program a ConfigMap there, as `app`."""
    if cluster.get("configmaps", "app", namespace) is None:
        cluster.create("configmaps", {"metadata": {"name": "app"}, "data": {"app.py": _APP.read_text()}}, namespace)
