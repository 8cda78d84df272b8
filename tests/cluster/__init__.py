"""A real Kubernetes API for the tests: etcd, kube-apiserver and kube-controller-manager on loopback.

There are no nodes: nothing runs pods. What a kubelet would report, tests report themselves (`set_pod`).

ControlPlane(controllers=, crd=, audit=, apiserver_flags=)
    start close compact install_crd audited; etcd apiserver controllers url port directory
    service_account(name, namespace) -> user; kubeconfig(user, server=) token(user) as_user(user) kubectl apply
    get list create patch delete wait wait_gone make_namespace remove_namespace make_pod set_pod
ApiServer, as `control_plane.apiserver`
    start stop kill pause resume restart ready wait_ready process
controlled_by(owner)
    the owner reference of what a ReplicaSet, say, controls

As fixtures (tests/conftest.py): `api` is one for all tests that do it no harm, each in its own `namespace`;
`control_plane_factory` starts others. `python -m tests.cluster` starts one by hand.
"""

from tests.cluster.apiserver import ADMIN, ApiServer
from tests.cluster.control_plane import CRD, ControlPlane, KubectlFailed
from tests.cluster.objects import Object, Objects, controlled_by
from tests.cluster.rest import ApiError

__all__ = [
    "ADMIN",
    "CRD",
    "ApiError",
    "ApiServer",
    "ControlPlane",
    "KubectlFailed",
    "Object",
    "Objects",
    "controlled_by",
]
