"""Leasehold installed on a cluster as its users install it: helm, the chart, its own etcd."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from leasehold.operator.reconcile.api import CANARY
from tests.cluster import Cluster, Object
from tests.cluster.node import Node
from tests.operator.lock_objects import condition

CHARTS: Final = Path(__file__).parents[2] / "charts"
NAMESPACE: Final = "leasehold-system"
RELEASE: Final = "leasehold"
CLIENT: Final = "leasehold-etcd-client"
_CLASS: Final[Object] = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "tests", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "kubernetes.io/no-provisioner",
    "volumeBindingMode": "WaitForFirstConsumer",
}


class Installation:
    """The release of the chart on a cluster; made by `install`. `charts` may be changed before an upgrade."""

    def __init__(self, cluster: Cluster, namespace: str = NAMESPACE, release: str = RELEASE) -> None:
        self.cluster = cluster
        self.charts = CHARTS
        self.namespace = namespace
        self.release = release
        self.mode = "policy"
        """What injects: by default what the API server can do itself."""
        self._volumes: list[str] = []

    def install(self, **values: Any) -> str:
        """Install it, and wait until all of it is ready; its notes."""
        self._make_volumes(values.get("etcd.replicas", 1))
        self.cluster.create("namespaces", {"metadata": {"name": self.namespace, "labels": _RESTRICTED}})
        return self._helm("install", values)

    def install_as_documented(self) -> str:
        """Install it by the documentation's one command, without a value, where nothing is; its notes."""
        self._make_volumes(1)
        words: list[str | Path] = ["install", self.release, CHARTS / "leasehold", f"--namespace={self.namespace}"]
        return self.cluster.helm(*words, "--create-namespace", "--wait", "--timeout=8m")

    def install_again(self, **values: Any) -> str:
        """Install it where it was before; etcd finds its old data."""
        for name in self._volumes:  # a retained volume is not given out again by itself
            self.cluster.kubectl("patch", "pv", name, '--patch={"spec": {"claimRef": null}}')
        return self._helm("install", values)

    def upgrade(self, *words: str, **values: Any) -> str:
        """Upgrade it to the chart as it is now, with these values and flags of helm's."""
        return self._helm("upgrade", values, *words)

    def switch(self, mode: str) -> None:
        """Have pods injected in that mode. The first upgrade adds it, the second takes the other one away."""
        for _ in range(2 if mode != self.mode else 0):
            self.upgrade(**{"injector.mode": mode, "ui.enabled": True})
        self.mode = mode

    def _helm(self, verb: str, values: Mapping[str, Any], *more: str) -> str:
        flags = [f"--set-json={name}={json.dumps(value)}" for name, value in values.items()]
        words: list[str | Path] = [verb, self.release, self.charts / "leasehold", f"--namespace={self.namespace}"]
        return self.cluster.helm(*words, "--wait", "--timeout=8m", *more, *flags)

    def etcd_urls(self, members: int = 1) -> list[str]:
        """The members' URLs, as the chart's notes give them."""
        name = f"{self.release}-etcd"
        return [f"https://{name}-{number}.{name}.{self.namespace}.svc:2379" for number in range(members)]

    def isolation(self) -> Object:
        """The operator's condition NamespacesIsolated."""
        return condition(self.cluster.get("locks", CANARY, self.namespace) or {}, "NamespacesIsolated")

    def uninstall(self) -> str:
        """Uninstall it; what stays is up to its values."""
        return self.cluster.helm("uninstall", self.release, f"--namespace={self.namespace}", "--wait", "--timeout=8m")

    def test(self) -> str:
        """`helm test`, with the log of its pod."""
        words = ["test", self.release, f"--namespace={self.namespace}", "--logs", "--timeout=8m"]
        return self.cluster.helm(*words)

    def pods(self, component: str) -> list[Object]:
        """Those of a component, such as operator, injector or etcd, that are not on their way out."""
        labels = f"app.kubernetes.io/instance={self.release},app.kubernetes.io/component={component}"
        found = self.cluster.list("pods", self.namespace, labels=labels)
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def _make_volumes(self, each: int) -> None:
        """Where etcd keeps its data: volumes on each node's disk, in place of what provisions them elsewhere."""
        self.cluster.apply(_CLASS)
        for node in self.cluster.nodes:
            for number in range(each):
                self.make_volume(node, str(number))

    def make_volume(self, node: Node, name: str) -> None:
        """One more volume on that node, for whoever claims it."""
        name = f"{self.namespace}-{node.name}-{name}"
        self._volumes.append(name)
        self.cluster.apply(_volume(name, node))

    def lose_volume(self, name: str) -> None:
        """Have what is on that volume, and the place itself, gone for whoever mounts it next."""
        (place,) = (node.directory / name for node in self.cluster.nodes if (node.directory / name).exists())
        place.rename(place.with_name(f"{name}-lost"))


def _volume(name: str, node: Node) -> Object:
    place = node.directory / name
    place.mkdir(mode=0o777)
    place.chmod(0o777)  # the kubelet gives no host's directory to a pod's group
    only_there = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node.name]}
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"},
        "storageClassName": _CLASS["metadata"]["name"],
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": str(place), "type": "Directory"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [only_there]}]}},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}


_RESTRICTED: Final = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


def common_name(secret: Object) -> str:
    """That of the certificate in a Secret."""
    certificate = x509.load_pem_x509_certificate(base64.b64decode(secret["data"]["tls.crt"]))
    return certificate.subject.rfc4514_string().removeprefix("CN=")


def ready(pod: Object) -> bool:
    """Whether the kubelet says that it is."""
    conditions = pod["status"].get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
