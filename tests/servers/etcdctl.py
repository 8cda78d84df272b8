"""etcdctl as the tests' own view of etcd: it knows nothing of our client, so the two can be held against each
other.
"""

import base64
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.servers.certs import Certificate
from tests.servers.process import PATIENCE, Process
from tests.servers.programs import program

_PATIENT = tuple(f"--{kind}-timeout={PATIENCE:g}s" for kind in ("command", "dial", "keepalive"))
"""Its own are 5 s, 2 s for a login, and 6 s for a sign of life: an etcd without CPU time is slower, not broken."""


class EtcdctlFailed(RuntimeError):
    """etcdctl ended with an error; the message is what it wrote."""


@dataclass(frozen=True)
class KeyValue:
    """One key as etcd stores it; `lease` is 0 when there is none."""

    key: str
    value: str
    create_revision: int
    mod_revision: int
    version: int
    lease: int


class Etcdctl:
    """Runs the real etcdctl (3.7) against `endpoints`. `user` is "name:password"."""

    def __init__(
        self, endpoints: Sequence[str], certificate: Certificate | None = None, user: str | None = None
    ) -> None:
        self.endpoints = list(endpoints)
        self.certificate = certificate
        self.user = user

    def argv(self, *arguments: str) -> list[str]:
        """The full command line, for those who start it themselves."""
        argv = [str(program("etcdctl")), f"--endpoints={','.join(self.endpoints)}"]
        if self.certificate:
            files = self.certificate
            argv += [f"--cacert={files.ca}", f"--cert={files.cert}", f"--key={files.key}"]
        if self.user:
            argv.append(f"--user={self.user}")
        return [*argv, *arguments]

    def run(self, *arguments: str, timeout: float = PATIENCE) -> str:
        """Run one command and return its output; EtcdctlFailed when it fails, or isn't done after `timeout`
        seconds.
        """
        argv = self.argv(*_PATIENT, *arguments)
        try:
            result = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            raise EtcdctlFailed(f"{' '.join(arguments)}: not done after {timeout} s") from None
        if result.returncode:
            raise EtcdctlFailed(f"{' '.join(arguments)}: {result.stderr or result.stdout}")
        return result.stdout

    def json(self, *arguments: str) -> Any:
        """Run one command with `--write-out=json` and return what it answered."""
        return json.loads(self.run(*arguments, "--write-out=json"))

    def process(self, *arguments: str) -> Process:
        """A long-running command, such as `elect` or `watch`, not yet started, to be read by lines."""
        return Process(self.argv(*arguments), name=f"etcdctl-{arguments[0]}", lines=True)

    def get(self, key: str) -> KeyValue | None:
        """The key, or None when there is none."""
        found = self._range(key)
        return found[0] if found else None

    def prefix(self, prefix: str) -> list[KeyValue]:
        """All keys that begin with `prefix`, oldest create revision first: the order of a queue."""
        return sorted(self._range(prefix, "--prefix"), key=lambda kv: kv.create_revision)

    def _range(self, *arguments: str) -> list[KeyValue]:
        return [
            KeyValue(
                key=base64.b64decode(kv["key"]).decode(errors="replace"),
                value=base64.b64decode(kv.get("value", "")).decode(errors="replace"),
                create_revision=int(kv["create_revision"]),
                mod_revision=int(kv["mod_revision"]),
                version=int(kv["version"]),
                lease=int(kv.get("lease", 0)),
            )
            for kv in self.json("get", *arguments).get("kvs", [])
        ]

    def put(self, key: str, value: str, *, lease: int = 0) -> None:
        """Write a key; `lease` attaches it."""
        self.run("put", f"--lease={lease:x}", "--", key, value)

    def delete(self, key: str, *options: str) -> int:
        """Delete a key (or more, with `--prefix`); returns how many there were."""
        return int(self.run("del", *options, key).split()[0])

    def revision(self) -> int:
        """The store's present revision."""
        return int(self.json("get", "no-such-key")["header"]["revision"])

    def compact(self, revision: int | None = None) -> None:
        """Compact the history up to `revision`, else up to now, and wait until it is done."""
        self.run("compaction", "--physical", str(revision or self.revision()))

    def grant(self, ttl: int) -> int:
        """Grant a lease of `ttl` seconds; returns its id."""
        return int(self.json("lease", "grant", str(ttl))["ID"])

    def revoke(self, lease: int) -> None:
        """Revoke a lease: its keys are deleted."""
        self.run("lease", "revoke", f"{lease:x}")

    def leases(self) -> list[int]:
        """The ids of all leases."""
        return [int(entry["id"]) for entry in self.json("lease", "list").get("leases") or []]

    def time_to_live(self, lease: int) -> int:
        """Seconds until the lease expires; -1 when there is no such lease."""
        return int(self.json("lease", "timetolive", f"{lease:x}").get("ttl", 0))
