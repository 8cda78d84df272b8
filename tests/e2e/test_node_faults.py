"""Two nodes and a leader on one of them: the node dies, freezes, is cut off from etcd, from everything.

etcd is on the other node. Never do two pods answer 200 at once; and the other takes over.
"""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.cluster import Cluster, Node, Object, images, why_unavailable
from tests.cluster.helm import build_dependencies
from tests.cluster.node import PATIENCE
from tests.e2e.installation import CHARTS, Installation
from tests.e2e.witness import PodWitness
from tests.e2e.workload import TTL, Workload
from tests.servers import wait_for

HOSTNAME = "kubernetes.io/hostname"


@pytest.fixture(scope="module")
def two() -> Iterator[Installation]:
    """Two nodes. etcd, and an operator and an injector at least, are on the first."""
    if reason := why_unavailable():
        pytest.skip(f"{reason} Not tested: faults of nodes.")
    made = Cluster(2, name="two")
    with contextlib.closing(made):
        made.start()
        images.load_all(made)
        build_dependencies(CHARTS / "singleton")
        installation = Installation(made)
        installation.install(**{"etcd.nodeSelector": {HOSTNAME: "node-1"}})
        yield installation


@pytest.fixture
def led(two: Installation) -> Iterator[tuple[Workload, PodWitness, Node]]:
    """Two label-gated replicas, one a node, of which that on node-2 leads; the witness; and that node, healed after."""
    cluster, node = two.cluster, two.cluster.nodes[1]
    own = cluster.make_namespace()
    pair = Workload(cluster, own, "pair", replicas=2, **{"leasehold.gate": "label", "affinity": _APART})
    try:
        with PodWitness(cluster, own, pair.labels) as witness:
            pair.install()
            pair.wait_ready(2)
            lead_from(pair, witness, node)
            yield pair, witness, node
            assert witness.contradictions() == []
    finally:
        restore(cluster, node)
        cluster.remove_namespace(own)


_TERM = {"labelSelector": {"matchLabels": {"app.kubernetes.io/instance": "pair"}}, "topologyKey": HOSTNAME}
_APART = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [_TERM]}}


def restore(cluster: Cluster, node: Node) -> None:
    """Switch it on, thaw it, heal it: whatever was done to it."""
    node.resume()
    if not node.running:
        node.start()
        node.join()
    node.heal()
    cluster.wait_node(node)


def on(pair: Workload, node: Node) -> Object:
    """Its pod on that node."""
    (found,) = (pod for pod in pair.pods() if pod["spec"].get("nodeName") == node.name)
    return found


def lead_from(pair: Workload, witness: PodWitness, node: Node) -> None:
    """Let the pod there lead."""
    name = on(pair, node)["metadata"]["name"]
    patch = f'{{"spec": {{"preferredHolder": "{name}"}}}}'
    pair.kubectl("patch", "lock", "pair", "--type=merge", f"--patch={patch}")
    witness.wait_leads(name)
    pair.kubectl("patch", "lock", "pair", "--type=merge", '--patch={"spec": {"preferredHolder": ""}}')
    pair.wait_held(by=name)


Led = tuple[Workload, PodWitness, Node]


def power_cut(two: Installation, node: Node) -> None:
    node.kill()


def frozen(two: Installation, node: Node) -> None:
    node.pause()


def cut_from_etcd(two: Installation, node: Node) -> None:
    (etcd,) = two.pods("etcd")
    node.cut_off(etcd["status"]["podIP"], 2379)


def cut_from_everything(two: Installation, node: Node) -> None:
    node.cut_off()


@pytest.mark.parametrize("fault", [power_cut, frozen, cut_from_etcd, cut_from_everything])
def test_lost_node(two: Installation, led: Led, fault: Callable[[Installation, Node], None]) -> None:
    """The other node's pod takes over, and the lost one never answers 200 beside it."""
    pair, witness, node = led
    lost = on(pair, node)["metadata"]["name"]
    token = witness.tokens()[-1]
    fault(two, node)
    taken = witness.wait_leader(but=lost, timeout=PATIENCE)
    assert taken.answer.token > token
    pair.wait_held(by=taken.name)
    restore(two.cluster, node)
    # Awake again, it says 503, and stands behind the other or is replaced.
    pair.wait_ready(2)
    witness.wait_leads(taken.name)
    assert lost not in {one.name for one in witness.said if one.answer.sent > taken.answer.received}


def test_singleton_moves_to_the_other_node(two: Installation) -> None:
    """Its node is dead: nobody confirms that its pod has ended, so its lease runs out, and a new pod leads."""
    cluster, node = two.cluster, two.cluster.nodes[1]
    own = cluster.make_namespace()
    one = Workload(cluster, own, "one", affinity=_SECOND_IF_IT_CAN)
    try:
        with PodWitness(cluster, own, one.labels) as witness:
            one.install()
            (lost,) = one.wait_ready()
            token = witness.wait_leads(lost).answer.token
            assert cluster.node_of(lost, own) is node
            node.kill()
            taken = witness.wait_leader(but=lost, timeout=PATIENCE)
            assert taken.answer.token > token
            assert cluster.node_of(taken.name, own) is not node
            wait_for(lambda: one.ready_pods() == [taken.name], "the new pod to be ready")
            assert witness.contradictions() == []
    finally:
        restore(cluster, node)
        cluster.remove_namespace(own)


_HERE = {"matchExpressions": [{"key": HOSTNAME, "operator": "In", "values": ["node-2"]}]}
_SECOND_IF_IT_CAN = {
    "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": _HERE}]}
}


def test_the_lease_is_the_bound(two: Installation, led: Led) -> None:
    """The last 200 of a leader that is cut off from etcd came within its lease of the last that etcd confirmed."""
    pair, witness, node = led
    lost = on(pair, node)["metadata"]["name"]
    token = witness.tokens()[-1]
    (etcd,) = two.pods("etcd")
    node.cut_off(etcd["status"]["podIP"], 2379)
    cut = witness.wait_leader().answer.received
    witness.wait_leader(but=lost, timeout=PATIENCE)
    assert witness.last_asked(token) - cut < TTL
