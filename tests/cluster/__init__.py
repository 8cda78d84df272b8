"""A real Kubernetes API for the tests, on loopback, and where wanted real nodes that run pods.

ControlPlane(controllers=, crd=, audit=, apiserver_flags=)
    etcd, kube-apiserver and kube-controller-manager. There are no nodes: what a kubelet would report, tests report
    themselves (`set_pod`).
    start close compact install_crd audited; etcd apiserver controllers url port directory
    service_account(name, namespace) -> user; kubeconfig(user, server=) token(user) as_user(user) kubectl apply
    get list create patch delete wait wait_gone make_namespace remove_namespace make_pod set_pod
ApiServer, as `control_plane.apiserver`
    start stop kill pause resume restart ready wait_ready process
Cluster(nodes=), where why_unavailable() is None
    a ControlPlane with nodes, each a kubelet, containerd and kube-proxy in namespaces of their own, and with DNS
    load(archive, name, *others) helm node_of pids wait_node process; address nodes; images.* are what to load
Node, as `cluster.nodes[0]`
    kill start join pause resume cut_off heal; name address network
controlled_by(owner)
    the owner reference of what a ReplicaSet, say, controls

As fixtures (tests/conftest.py): `api` is one for all tests that do it no harm, each in its own `namespace`;
`control_plane_factory` starts others. `python -m tests.cluster` starts one by hand, with `--nodes N` one with nodes.
"""

from tests.cluster.apiserver import ADMIN, ApiServer
from tests.cluster.cluster import Cluster, why_unavailable
from tests.cluster.control_plane import CRD, ControlPlane, KubectlFailed
from tests.cluster.helm import HelmFailed, run_helm
from tests.cluster.node import Node
from tests.cluster.objects import Object, Objects, controlled_by
from tests.cluster.rest import ApiError

__all__ = [
    "ADMIN",
    "CRD",
    "ApiError",
    "ApiServer",
    "Cluster",
    "ControlPlane",
    "HelmFailed",
    "KubectlFailed",
    "Node",
    "Object",
    "Objects",
    "controlled_by",
    "run_helm",
    "why_unavailable",
]
