"""A whole Kubernetes cluster: control plane, real nodes, DNS, images. Helm and kubectl work on it as on any other."""

import functools
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar, Final

from tests.cluster import cgroup, images
from tests.cluster.apiserver import ADMIN, Argv, Place, User
from tests.cluster.control_plane import ControlPlane
from tests.cluster.helm import run_helm
from tests.cluster.network import HUB, Network
from tests.cluster.node import PATIENCE, Joining, Node
from tests.cluster.objects import Object
from tests.servers import Process, program
from tests.servers.tools import why_missing

_PROGRAMS: Final = ("kube-apiserver", "kubelet", "containerd", "coredns", "helm", "pause", "cni")
_TOOLS: Final = {
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "runc": "runc",
    "sysctl": "procps",
    "unshare": "util-linux",
}


@functools.cache
def why_unavailable() -> str | None:
    """Why there can be no nodes here, as a sentence; None when there can, which may install packages first."""
    if reason := why_missing("Nodes", _TOOLS):
        return reason
    return None if cgroup.available() else "Nodes need the hierarchies of cgroup v1, which this machine hasn't mounted."


_API_FLAGS: Final = [
    "--enable-aggregator-routing",  # a webhook's Service is reached by its pods: no kube-proxy is where the API is
    "--kubelet-preferred-address-types=InternalIP",  # no DNS knows the nodes' names
    # Not five minutes: a node that is lost is lost.
    "--default-not-ready-toleration-seconds=5",
    "--default-unreachable-toleration-seconds=5",
]


class Cluster(ControlPlane):
    """A ControlPlane with `nodes` real nodes. Not started by the constructor."""

    CONTROLLERS: ClassVar[Sequence[str]] = ("*",)

    def __init__(self, nodes: int = 1, *, name: str = "nodes", crd: bool = False) -> None:
        for each in _PROGRAMS:
            program(each)
        self.network = Network(nodes)
        names = [f"node-{index}" for index in range(1, nodes + 1)]
        users = {secrets.token_hex(16): User(f"system:node:{each}", ("system:nodes",)) for each in names}
        place = Place("0.0.0.0", HUB, self.network.hub.inside)
        super().__init__(name=name, crd=crd, place=place, users=users, apiserver_flags=_API_FLAGS, to_kubelets=True)
        self.address = HUB
        """By which pods reach what `process` starts."""
        self.nodes = [
            Node(index, network, self.directory, self._joining(f"node-{index}"))
            for index, network in enumerate(self.network.nodes, 1)
        ]
        self._others: list[Process] = []

    def _controller_flags(self) -> Iterator[str]:
        yield from super()._controller_flags()
        yield from ("--node-monitor-period=1s", "--node-monitor-grace-period=8s")

    def _joining(self, node: str) -> Joining:
        server = f"https://{HUB}:{self.port}"
        mine, proxy = (self.kubeconfig(user, server=server) for user in (f"system:node:{node}", ADMIN))
        return Joining(mine, proxy, self.authority.path)

    # --- life -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start all of it, and wait until every node is ready."""
        cgroup.sweep()
        self.network.make()
        self.network.relay_out(self.etcd.port)
        self.network.relay_in("127.0.0.1", self.port, self.port)
        with ThreadPoolExecutor() as pool:
            booting = [pool.submit(self._boot, node) for node in self.nodes]
            super().start()
            self._start_others()
            for booted in booting:
                booted.result()
        for node in self.nodes:
            node.join()
            self.wait_node(node)

    def _boot(self, node: Node) -> None:
        node.prepare()
        node.start()
        node.import_image(images.pause())

    def _start_others(self) -> None:
        config = self.kubeconfig()
        dns = self.directory / "Corefile"
        dns.write_text(_COREFILE.format(address=HUB, config=config))
        scheduler: Argv = [program("kube-scheduler"), f"--kubeconfig={config}", "--leader-elect=false"]
        coredns: Argv = [program("coredns"), f"-conf={dns}"]
        for argv in (scheduler, coredns):
            process = self.process(argv)
            self._others.append(process)
            process.start()

    def wait_node(self, node: Node, *, ready: bool = True, timeout: float = PATIENCE) -> None:
        """Wait until the API says that the node is ready, or that it isn't."""
        wanted = {"True"} if ready else {"False", "Unknown"}
        self.wait("nodes", node.name, until=lambda seen: _condition(seen, "Ready") in wanted, timeout=timeout)

    def close(self) -> None:
        """End all of it at once, and remove everything."""
        for node in self.nodes:
            node.close()
        for process in self._others:
            process.close()
        super().close()
        self.network.close()

    # --- what tests do with it ------------------------------------------------------------------------------

    def process(self, argv: Argv, *, name: str = "", lines: bool = False) -> Process:
        """A program in the cluster's network, where pods can be reached; not started yet, the caller's to close."""
        return Process(self.network.hub.inside(argv), name=name or Path(argv[0]).name, lines=lines)

    def load(self, archive: Path, name: str, *others: str) -> None:
        """Give every node an image, under more names if wanted; a name without a host is Docker's, as for any node."""
        for node in self.nodes:
            node.import_image(archive)
            for other in others:
                node.tag_image(name, other)

    def helm(self, *words: str | Path, stdin: str = "", timeout: float = 600) -> str:
        """What the real helm prints; HelmFailed when it fails, or isn't done after `timeout` seconds."""
        return run_helm(*words, kubeconfig=self._config_of(ADMIN), stdin=stdin, timeout=timeout)

    def node_of(self, pod: str, namespace: str) -> Node:
        """The node that a pod runs on."""
        found = self.get("pods", pod, namespace)
        assert found is not None, f"there is no pod {pod}"
        return next(node for node in self.nodes if node.name == found["spec"]["nodeName"])

    def pids(self, pod: str, namespace: str, container: str) -> list[int]:
        """The machine's ids of the processes of a pod's container, its first one first."""
        found = self.get("pods", pod, namespace)
        assert found is not None, f"there is no pod {pod}"
        statuses = [*found["status"].get("containerStatuses", ()), *found["status"].get("initContainerStatuses", ())]
        (status,) = (each for each in statuses if each["name"] == container)
        return self.node_of(pod, namespace).pids(status["containerID"].rpartition("/")[2])


_COREFILE: Final = """cluster.local in-addr.arpa {{
    bind {address}
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {config}
        ttl 0
    }}
    errors
}}
. {{
    bind {address}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def _condition(seen: Object, kind: str) -> str:
    """The status of a condition; empty when there is none."""
    return next((each["status"] for each in seen["status"].get("conditions", ()) if each["type"] == kind), "")
