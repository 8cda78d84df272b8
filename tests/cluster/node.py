"""One real node: kubelet, containerd and kube-proxy in namespaces of their own, with every fault that a node can have.

Its mounts, processes and network are namespaces that end with one process, the node's first: to kill that is a power
cut, and leaves nothing behind. What it keeps on disk survives, as a node's does.
"""

import json
import os
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.cluster import cgroup
from tests.cluster.cgroup import Cgroup
from tests.cluster.network import HUB, SERVICES, Namespace, node_address, pods_of
from tests.cluster.node_config import containerd_config, kubelet_config, network_config, proxy_config
from tests.servers import Process, program, wait_for
from tests.servers.programs import run

RUNTIME: Final = "/run/containerd/containerd.sock"
PATIENCE: Final = 300.0
"""Seconds after which a wait for a node or a pod on one gives up: only a fault takes that long."""
# What a program expects to have for itself, by where it is on the node's own disk. /run is in memory, as ever.
_OWN_PLACES: Final = {
    "kubelet": "/var/lib/kubelet",
    "containerd": "/var/lib/containerd",
    "log": "/var/log",
    "cni": "/var/lib/cni",
    "resolv.conf": "/etc/resolv.conf",  # the machine's is of no use here, and every look-up would wait for it
    "hosts": "/etc/hosts",
}


@dataclass(frozen=True)
class Joining:
    """What a node needs to know of its cluster: kubeconfigs of its kubelet and proxy, and the authority's file."""

    kubelet: Path
    proxy: Path
    authority: Path


class Node:
    """The node of an index, from 1. Not started by the constructor."""

    def __init__(self, index: int, namespace: Namespace, directory: Path, joining: Joining) -> None:
        self.name = f"node-{index}"
        self.network = namespace
        self.address = node_address(index)
        self.address_range = pods_of(index)
        self.directory = directory / self.name
        self.cgroup = Cgroup(namespace.name)  # it tells whose it is: what a killed run has left can be told by it
        self._joining = joining
        self._first: Process | None = None
        self._processes: list[Process] = []

    # --- life -----------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Write its configuration."""
        for own, place in _OWN_PLACES.items():
            if not place.startswith("/etc"):
                (self.directory / own).mkdir(parents=True, exist_ok=True)
        network = self.directory / "net.d"
        network.mkdir(exist_ok=True)
        _write(network / "10-pods.conflist", network_config(self.address_range))
        (self.directory / "containerd.toml").write_text(
            containerd_config(network, program("cni").parent, program("containerd-shim-runc-v2").parent)
        )
        (self.directory / "resolv.conf").write_text(f"nameserver {HUB}\n")
        (self.directory / "hosts").write_text(f"127.0.0.1 localhost\n{self.address} {self.name}\n")
        _write(self.directory / "kubelet.json", kubelet_config(self._joining.authority, self.cgroup.name, HUB, RUNTIME))
        _write(self.directory / "proxy.json", proxy_config(self._joining.proxy, SERVICES))

    def start(self) -> None:
        """Switch it on, the first time or after `kill`; the kubelet tells the API when the node is ready."""
        self.cgroup.make()
        self._start_first()
        self._run("containerd", program("containerd"), "--config", self.directory / "containerd.toml")
        wait_for(self._runtime_answers, f"containerd of {self.name}", PATIENCE)

    def join(self) -> None:
        """Start what makes it a node of the cluster."""
        self._run(
            "kubelet",
            program("kubelet"),
            f"--config={self.directory / 'kubelet.json'}",
            f"--kubeconfig={self._joining.kubelet}",
            f"--hostname-override={self.name}",
            f"--node-ip={self.address}",
            "--v=2",
        )
        self._run(
            "kube-proxy",
            program("kube-proxy"),
            f"--config={self.directory / 'proxy.json'}",
            f"--hostname-override={self.name}",
        )

    def _start_first(self) -> None:
        mounts = "; ".join(f"mount --bind {self.directory / own} {place}" for own, place in _OWN_PLACES.items())
        # Ignored, SIGCHLD makes the kernel collect every orphan of the node, of whom this is the new parent.
        places = " ".join(place for place in _OWN_PLACES.values() if not place.startswith("/etc"))
        script = f"mkdir -p {places}; mount -t tmpfs run /run; {mounts}; trap '' CHLD; echo up"
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--propagation=private"]
        argv = self.network.inside([*apart, "sh", "-ec", f"{script}; exec sleep infinity"])
        joined = ["sh", "-ec", f'{self.cgroup.joining}; exec "$@"', "sh", *argv]
        self._first = Process(joined, name=self.name, lines=True)
        self._first.start()
        self._first.read_line()

    def _run(self, name: str, *argv: str | Path) -> None:
        process = Process(self.inside(argv), name=f"{name}-{self.name}")
        self._processes.append(process)
        process.start()

    def inside(self, argv: Sequence[str | Path]) -> list[str | Path]:
        """The command that runs `argv` on the node, as one of its processes."""
        entered = ["nsenter", f"--target={self._first_pid()}", "--mount", "--pid", "--net", "--", *argv]
        return ["sh", "-ec", f'{self.cgroup.joining}; exec "$@"', "sh", *entered]

    def _first_pid(self) -> int:
        """The machine's id of the node's first process, which is the child of what made the namespaces."""
        assert self._first is not None, f"{self.name} is not switched on"
        return int(Path(f"/proc/{self._first.pid}/task/{self._first.pid}/children").read_text().split()[0])

    def _runtime_answers(self) -> bool:
        answer = Process(self.inside(self._ctr("version")), name=f"ctr-{self.name}")
        with answer:
            return answer.wait() == 0

    @property
    def running(self) -> bool:
        """Whether it is switched on; a frozen one is."""
        return self._first is not None and self._first.running

    # --- images ---------------------------------------------------------------------------------------------

    def import_image(self, archive: Path) -> None:
        """Make the image of a docker-archive one that pods can use."""
        run(self.inside(self._ctr("--namespace=k8s.io", "images", "import", "--local", archive)))

    def tag_image(self, name: str, another: str) -> None:
        """Give an image another name."""
        run(self.inside(self._ctr("--namespace=k8s.io", "images", "tag", "--force", name, another)))

    def _ctr(self, *words: str | Path) -> list[str | Path]:
        return [program("ctr"), f"--address={RUNTIME}", *words]

    # --- faults ---------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """A power cut: all of it ends at once, its pods too. `start` and `join` switch it on again.

        With its first process the kernel ends all others. What started them here waits for them, so none is left dead.
        """
        if self._first is not None and self._first.running:
            os.kill(self._first_pid(), signal.SIGKILL)
            self.cgroup.thaw()  # a frozen process ends only now
            for process in [*self._processes, self._first]:
                process.wait()
        for process in [*self._processes, *filter(None, [self._first])]:
            process.close()
        self._processes.clear()
        self._first = None
        self.cgroup.kill()

    def pause(self) -> None:
        """Freeze all of it, its pods too: connections stay open and silent."""
        self.cgroup.freeze()

    def resume(self) -> None:
        """Let it go on."""
        self.cgroup.thaw()

    def cut_off(self, address: str = "", port: int = 0) -> None:
        """Drop, both ways, all between its pods and that address and port; without one, all that leaves the node."""
        rules = _between_pods_and(address, port) if address else _BETWEEN_NODES
        script = [
            "add table inet cut",
            *(f"add {line}" for line in _CHAINS),
            *(f"add rule inet cut {r}" for r in rules),
        ]
        self.network.sh("nft -f - <<'END'\n" + "\n".join(script) + "\nEND")

    def heal(self) -> None:
        """End every `cut_off`."""
        self.network.sh("nft 'add table inet cut; delete table inet cut'")  # none to delete would be an error

    def pids(self, container: str) -> list[int]:
        """The machine's ids of the processes of the container of this id (without containerd://), the first first."""
        return cgroup.of_container(container, self.cgroup)

    def close(self) -> None:
        """End all of it, and remove what it kept."""
        self.kill()
        self.cgroup.remove()
        shutil.rmtree(self.directory, ignore_errors=True)

    def log(self) -> str:
        """The ends of its programs' logs."""
        return "\n".join(f"--- {process.name}\n{process.log_tail()}" for process in self._processes)


_CHAINS: Final = [
    f"chain inet cut {hook} {{ type filter hook {hook} priority {priority}; }}"
    for hook, priority in (("prerouting", -500), ("forward", 0), ("postrouting", 500))
]
_BETWEEN_NODES: Final = ("prerouting iifname eth0 drop", "postrouting oifname eth0 drop")


def _between_pods_and(address: str, port: int) -> list[str]:
    """As nftables sees it where a pod's packets are forwarded: behind the translation of a Service's address."""
    only = [f" tcp {side} {port}" if port else "" for side in ("dport", "sport")]
    return [f"forward ip daddr {address}{only[0]} drop", f"forward ip saddr {address}{only[1]} drop"]


def _write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=2))
