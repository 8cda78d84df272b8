"""Candidates that are not ours, one process each, driven line by line: etcd's own Go election."""

import json
from typing import Any, Self

from tests.servers.etcdctl import Etcdctl
from tests.servers.process import PATIENCE, Process, ProcessFailed
from tests.servers.programs import program


class Peer:
    """A candidate of Go's `concurrency.Election` under `prefix` (without the last slash), with its own
    session.

    Its commands are described at the head of `go/peer/main.go`. Started by the constructor's caller.
    """

    def __init__(self, etcd: Etcdctl, prefix: str, *, ttl: int = 15, name: str = "peer") -> None:
        argv = [str(program("peer")), f"--endpoints={','.join(etcd.endpoints)}", f"--prefix={prefix}"]
        if etcd.certificate:
            files = etcd.certificate
            argv += [f"--cacert={files.ca}", f"--cert={files.cert}", f"--key={files.key}"]
        if etcd.user:
            argv.append(f"--user={etcd.user}")
        self.process = Process([*argv, f"--ttl={ttl}"], name=name, lines=True)
        self.lease = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start it and wait for its session; `lease` is the session's from then on."""
        self.process.start()
        self.lease = int(self.expect("ready")["lease"])

    def close(self) -> None:
        """End it at once. To let it resign first: `process.terminate()`."""
        self.process.close()

    def campaign(self, value: str, *, wait: bool = True) -> dict[str, Any]:
        """Queue up with `value`; with `wait` until it leads: `key`, `revision` (its token), `lease`, `t`."""
        self.process.send(f"campaign {value}")
        return self.expect("elected" if wait else "queued")

    def resign(self) -> dict[str, Any]:
        """Give the key up, and wait until etcd has confirmed it."""
        self.process.send("resign")
        return self.expect("resigned")

    def leader(self) -> str | None:
        """The value of the queue's first key as this client sees it now; None when the queue is empty."""
        self.process.send("leader")
        answer = self.expect("leader", "no-leader")
        return str(answer["value"]) if answer["event"] == "leader" else None

    def expect(self, *events: str, timeout: float = PATIENCE) -> dict[str, Any]:
        """The next answer that is one of `events`; `t` in it is an instant in ns of CLOCK_MONOTONIC.

        Raises ProcessFailed when an error comes first, or nothing for `timeout` seconds.
        """
        while True:
            answer: dict[str, Any] = json.loads(self.process.read_line(timeout))
            if answer["event"] in events:
                return answer
            if answer["event"] == "error":
                raise ProcessFailed(f"{self.process.name}: {answer['error']}")
