"""The cluster's network: namespaces of its own, joined by veths, with nothing in the machine's own but a relay.

One namespace is the hub: the control plane lives in it, on ADDRESS. Each node is a namespace of its own, with a route
to every other node's pods. Namespaces are named after the process that made them, so that the next run can remove what
a killed one has left behind.
"""

import contextlib
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.servers import Process, release_port, reserve_port
from tests.servers.programs import run

HUB = "10.200.0.1"
"""The hub's address, by which nodes and pods reach the control plane."""
SERVICES = "10.96.0.0/16"
_NAMESPACES = Path("/run/netns")
_PREFIX = "leasehold"
_BRIDGE = "cluster"
_RELAY = Path(__file__).parent / "relay.py"
_OWN = "/proc/self/ns/net"
_numbers = itertools.count(1)


def node_address(index: int) -> str:
    """The address of the node of this index, from 1."""
    return f"10.200.0.{10 + index}"


def pods_of(index: int) -> str:
    """The addresses of that node's pods."""
    return f"10.201.{index}.0/24"


class Namespace:
    """One network namespace; made by `make`, and gone by `remove` once no process lives in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = _NAMESPACES / name

    def make(self) -> None:
        """Make it, with its loopback up and forwarding on."""
        run(["ip", "netns", "add", self.name])
        run(self.inside(["ip", "link", "set", "lo", "up"]))
        run(self.inside(["sysctl", "-q", "-w", "net.ipv4.ip_forward=1"]))

    def remove(self) -> None:
        """Remove it, if it is there."""
        if self.path.exists():
            run(["ip", "netns", "delete", self.name])

    def inside(self, argv: Sequence[str | Path]) -> list[str | Path]:
        """The command that runs `argv` in it. Not `ip netns exec`, which mounts a /sys without the cgroups."""
        return ["nsenter", f"--net={self.path}", "--", *argv]

    def sh(self, script: str) -> str:
        """The output of a shell script that is run in it and must succeed."""
        return run(self.inside(["sh", "-ec", script]))


class Network:
    """The hub and the nodes' namespaces of one cluster, not made by the constructor."""

    def __init__(self, nodes: int) -> None:
        base = f"{_PREFIX}-{os.getpid()}-{next(_numbers)}"
        self.hub = Namespace(f"{base}-hub")
        self.nodes = [Namespace(f"{base}-node{index}") for index in range(1, nodes + 1)]
        self._relays: list[Relay] = []

    def make(self) -> None:
        """Make all of it."""
        sweep()
        self.hub.make()
        self.hub.sh(f"ip link add {_BRIDGE} type bridge; ip addr add {HUB}/24 dev {_BRIDGE}; ip link set {_BRIDGE} up")
        for index, node in enumerate(self.nodes, 1):
            node.make()
            self._join(index, node)
        for index in range(1, len(self.nodes) + 1):
            for place in [self.hub, *self.nodes[: index - 1], *self.nodes[index:]]:
                place.sh(f"ip route add {pods_of(index)} via {node_address(index)}")

    def _join(self, index: int, node: Namespace) -> None:
        link = f"to-node{index}"
        self.hub.sh(
            f"ip link add {link} type veth peer name eth0 netns {node.name};"
            f"ip link set {link} master {_BRIDGE}; ip link set {link} up"
        )
        node.sh(f"ip addr add {node_address(index)}/24 dev eth0; ip link set eth0 up; ip route add default via {HUB}")

    def relay_in(self, address: str, port: int, local: int | None = None) -> int:
        """Make an address of the cluster reachable at a port of the machine's 127.0.0.1, which is returned."""
        at = local or reserve_port()
        self._relay(Relay(f"in-{port}", None, ("127.0.0.1", at), self.hub, (address, port), owned=local is None))
        return at

    def relay_out(self, port: int) -> None:
        """Make this port of the machine's 127.0.0.1 reachable at the same of the hub's."""
        self._relay(Relay(f"out-{port}", self.hub, ("127.0.0.1", port), None, ("127.0.0.1", port)))

    def _relay(self, relay: "Relay") -> None:
        self._relays.append(relay)
        relay.start()

    def close(self) -> None:
        """Remove all of it; every process in it must have ended."""
        for relay in self._relays:
            relay.close()
        for namespace in [*self.nodes, self.hub]:
            namespace.remove()


class Relay(Process):
    """Listens in one network namespace and connects in another; None is the machine's own."""

    def __init__(
        self,
        name: str,
        listens: Namespace | None,
        at: tuple[str, int],
        connects: Namespace | None,
        to: tuple[str, int],
        *,
        owned: bool = False,
    ) -> None:
        self._port = at[1] if owned else None
        places = [str(place.path if place else _OWN) for place in (listens, connects)]
        ends = [f"{host}:{port}" for host, port in (at, to)]
        words = [places[0], ends[0], places[1], ends[1]]
        super().__init__([sys.executable, "-P", _RELAY, *words], name=f"relay-{name}", lines=True)

    def start(self) -> None:
        """Start it, and return when it listens."""
        super().start()
        self.read_line()

    def close(self) -> None:
        """End it, and give its port back."""
        super().close()
        if self._port is not None:
            release_port(self._port)
            self._port = None


def sweep() -> None:
    """Remove the namespaces of runs that are dead."""
    for entry in _NAMESPACES.glob(f"{_PREFIX}-*") if _NAMESPACES.is_dir() else ():
        match = re.match(rf"{_PREFIX}-(\d+)-", entry.name)
        if match and not Path(f"/proc/{match[1]}").exists():
            with contextlib.suppress(subprocess.SubprocessError):
                Namespace(entry.name).remove()
