"""One class per kind of candidate, all alike to the benchmarks: start, queue up, lead, step down.

`led_at` is measured alike for all: the instant at which the candidate's own word that it leads has reached this
process, as a line on a pipe or as a server-sent event.
"""

import socket
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench.first_lead_event import Gains
from tests.bench.samples import MeasurementFailed
from tests.servers import PATIENCE, EtcdServer, Peer, Process, release_port, reserve_port, wait_for
from tests.support.sidecars import request

LONG = 60
"""Seconds of TTL where nothing shall expire. It is etcdctl's own, which cannot be told another."""


class Candidate(ABC):
    """One process that stands for a lock. Not started by the constructor."""

    process: Process

    @abstractmethod
    def start(self) -> None:
        """Start it, and have it stand for the lock; it may take a while until it is in the queue."""

    @abstractmethod
    def led_at(self) -> float:
        """Wait until it leads (again) and return since when, by `time.monotonic`. Raises MeasurementFailed."""

    def get_ready(self) -> None:  # noqa: B027  # most kinds are asked over a pipe
        """Before `step_down`: open the way by which it is asked."""

    def step_down(self) -> float:
        """Ask it to let another lead, and to queue again; returns when it was asked. Not every kind can."""
        raise NotImplementedError

    def requeue(self) -> None:  # noqa: B027  # most kinds do it by themselves
        """After `step_down`: stand for the lock again."""

    def hang_up(self) -> None:  # noqa: B027  # most kinds say nothing more once they lead
        """Have it tell us nothing more, until `requeue`: what it does for us would be measured, too."""

    def close(self) -> None:
        """End it at once."""
        self.process.close()


class Sidecar(Candidate):
    """`leasehold run`, as it is by default but for its TTL and its ports."""

    prefix = "/leasehold/locks/default/{lock}/queue/"
    command: Sequence[str] = (sys.executable, "-m", "leasehold")

    def __init__(
        self, etcd: EtcdServer, lock: str, name: str, env: Mapping[str, str], ttl: int = LONG, flags: Sequence[str] = ()
    ) -> None:
        self.port, self.control = reserve_port(), reserve_port()
        words = [*self.command, "run", "--etcd", etcd.url, "--lock", lock, "--identity", name]
        words += ["--ttl", str(ttl), "--listen", f"127.0.0.1:{self.port}", "--control", f"127.0.0.1:{self.control}"]
        self.process = Process([*words, *flags], name=name, env=env)
        self._gains: Gains | None = None
        self._asker: socket.socket | None = None

    def start(self) -> None:
        self.process.start()
        self.listen()

    def listen(self) -> float:
        """Connect to its event stream as soon as it listens; returns when that was."""
        end = time.monotonic() + PATIENCE
        while self.process.running and time.monotonic() < end:
            try:
                self._gains = Gains(self.port)
                return time.monotonic()
            except ConnectionRefusedError:
                time.sleep(0.002)
        raise MeasurementFailed(f"{self.process.name} does not listen:\n{self.process.log_tail()}")

    def led_at(self) -> float:
        assert self._gains is not None, "it is not started"
        at = self._gains.next(PATIENCE)
        status, _ = request("GET", f"http://127.0.0.1:{self.port}/leader")
        if status != 200:
            raise MeasurementFailed(f"{self.process.name} told that it leads, but /leader answers {status}")
        return at

    def get_ready(self) -> None:
        self._asker = socket.create_connection(("127.0.0.1", self.control), timeout=PATIENCE)

    def step_down(self) -> float:
        assert self._asker is not None, "call get_ready"
        asked = time.monotonic()
        self._asker.sendall(b"POST /handover HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        return asked

    def close(self) -> None:
        self.hang_up()
        if self._asker is not None:
            self._asker.close()
        super().close()
        for port in (self.port, self.control):
            release_port(port)

    def requeue(self) -> None:
        self._check_answer()
        self.listen()  # it queues by itself

    def _check_answer(self) -> None:
        if self._asker is None:
            return
        with self._asker as asker:
            answer = asker.recv(65_536)
        self._asker = None
        if b" 202 " not in answer:
            raise MeasurementFailed(f"{self.process.name} answers {answer!r} to POST /handover")

    def hang_up(self) -> None:
        if self._gains is not None:
            self._gains.close()
            self._gains = None


class SidecarAskedAnew(Sidecar):
    """Asked as a script asks: by a new connection, whose making counts."""

    def get_ready(self) -> None:
        pass

    def step_down(self) -> float:
        asked = time.monotonic()
        status, _ = request("POST", f"http://127.0.0.1:{self.control}/handover")
        if status != 202:
            raise MeasurementFailed(f"{self.process.name} answers {status} to POST /handover")
        return asked


def sidecar_of(python: str | None) -> type[Sidecar]:
    """`leasehold run` as this interpreter has it installed: another build, to compare with in the same run."""
    command = (python, str(Path(python).with_name("leasehold"))) if python else ()
    return type("OtherSidecar", (Sidecar,), {"command": command}) if python else Sidecar


class Etcdctl(Candidate):
    """`etcdctl elect`, whose TTL is 60 seconds."""

    prefix = "{lock}-etcdctl/"

    def __init__(self, etcd: EtcdServer, lock: str, name: str) -> None:
        self.process = etcd.ctl.process("elect", f"{lock}-etcdctl", name)

    def start(self) -> None:
        self.process.start()

    def led_at(self) -> float:
        self.process.read_line(PATIENCE)  # its key; the next line, its value, comes with it
        return self.process.line_at


class GoElection(Candidate):
    """etcd's own Go library, `concurrency.Election`, in the smallest program around it."""

    prefix = "{lock}-go/"

    def __init__(self, etcd: EtcdServer, lock: str, name: str, ttl: int = LONG) -> None:
        self._peer = Peer(etcd.ctl, f"{lock}-go", ttl=ttl, name=name)
        self.process = self._peer.process

    def start(self) -> None:
        self._peer.start()
        self.requeue()

    def led_at(self) -> float:
        self._peer.expect("elected", timeout=PATIENCE)
        return self.process.line_at

    def step_down(self) -> float:
        asked = time.monotonic()
        self._peer.resign()
        return asked

    def requeue(self) -> None:
        self.process.send(f"campaign {self.process.name}")


class Etcd3Lock(Candidate):
    """The lock of the PyPI client etcd3. It has no queue: whoever is quickest after a release gets it."""

    prefix = "/locks/{lock}-etcd3"
    env: Mapping[str, str] = {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}

    def __init__(self, etcd: EtcdServer, lock: str, name: str, env: Mapping[str, str], ttl: int = LONG) -> None:
        script = Path(__file__).with_name("etcd3_lock.py")
        # -P: what lies beside a script must not take the place of a library's module of the same name.
        argv: list[str | Path] = [sys.executable, "-P", script, str(etcd.port), f"{lock}-etcd3", str(ttl)]
        self.process = Process(argv, name=name, env={**env, **self.env}, lines=True)

    def start(self) -> None:
        self.process.start()
        self._expect("ready")
        self.requeue()

    def led_at(self) -> float:
        self._expect("acquired")
        return self.process.line_at

    def step_down(self) -> float:
        asked = time.monotonic()
        self.process.send("release")
        self._expect("released")
        return asked

    def requeue(self) -> None:
        self.process.send("acquire")

    def _expect(self, line: str) -> None:
        found = self.process.read_line(PATIENCE)
        if found != line:
            raise MeasurementFailed(f"{self.process.name} said {found!r}, not {line!r}")


def wait_queue(etcd: EtcdServer, prefix: str, size: int) -> None:
    """Return when so many keys are under the prefix."""
    wait_for(lambda: len(etcd.ctl.prefix(prefix)) == size, f"{size} keys under {prefix}", PATIENCE)
