"""`kubectl leasehold …` through the real kubectl, and Locks whose status a test sets itself, as the operator would."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from leasehold.kubectl.cluster_ref import ClusterRef
from tests.cluster import ADMIN, ControlPlane
from tests.servers import PATIENCE, program

SCRIPTS = Path(sys.executable).parent
"""Where the package's programs are installed, beside the interpreter's."""


def ago(seconds: float) -> str:
    """An instant in the past, as the API server writes it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def holder(identity: str, token: int, **more: str) -> dict[str, Any]:
    """One holder of a status."""
    return {"identity": identity, "fencingToken": token, "leaseID": f"{token:x}", "acquireTime": ago(300), **more}


def status_of(
    *holders: Mapping[str, Any], waiting: int = 0, held: str = "", generation: int = 1, **more: Any
) -> dict[str, Any]:
    """The status of a lock that these hold, by their tokens; `held` is the condition's status unless it follows."""
    held = held or str(bool(holders))
    first: dict[str, Any] = {"holderIdentity": None, "acquireTime": None}
    if holders:
        first = {
            "holderIdentity": holders[0]["identity"],
            "fencingToken": holders[0]["fencingToken"],
            "acquireTime": holders[0]["acquireTime"],
        }
    conditions = [condition("Ready", "True", "Declared"), condition("Held", held, "Seen")]
    counts = {"holderCount": len(holders), "waiterCount": waiting, "transitionCount": 3}
    known = {"observedGeneration": generation, "key": "/leasehold/locks/n/l/queue", "conditions": conditions}
    return {**first, **counts, **known, "holders": list(holders), **more}


def condition(kind: str, status: str, reason: str, message: str = "As it should be.") -> dict[str, Any]:
    """A condition of a status."""
    seen = {"lastTransitionTime": ago(60), "reason": reason, "message": message}
    return {"type": kind, "status": status, **seen}


class Plugin:
    """The installed plugin in one namespace of a control plane."""

    def __init__(self, api: ControlPlane, namespace: str) -> None:
        self.api = api
        self.namespace = namespace
        self._configs: dict[str, Path] = {}

    def config(self, user: str = ADMIN) -> Path:
        """A kubeconfig whose context names the namespace."""
        if user not in self._configs:
            self._configs[user] = self.api.kubeconfig(user, namespace=self.namespace)
        return self._configs[user]

    def ref(self) -> ClusterRef:
        """The cluster and the namespace, for this process."""
        return ClusterRef((f"--kubeconfig={self.config()}",))

    def command(self, *words: str) -> list[str]:
        """The words to run."""
        return [str(program("kubectl")), *words]

    def environ(self, user: str = ADMIN) -> dict[str, str]:
        """What the plugin is found by and finds the cluster by."""
        path = os.pathsep.join((str(SCRIPTS), str(program("kubectl").parent), "/usr/bin", "/bin"))
        return {"HOME": str(self.api.directory), "PATH": path, "KUBECONFIG": str(self.config(user))}

    def run(self, *words: str, user: str = ADMIN) -> subprocess.CompletedProcess[str]:
        """`kubectl leasehold …` until it ends, without a terminal."""
        return subprocess.run(
            self.command("leasehold", *words),
            env=self.environ(user),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def ok(self, *words: str, user: str = ADMIN) -> str:
        """What it prints when all goes well, and nothing else is said, except what a long wait is for."""
        done = self.run(*words, user=user)
        said = [line for line in done.stderr.splitlines() if not line.startswith("leasehold: Waiting up to ")]
        assert (done.returncode, said) == (0, []), done
        return done.stdout

    def refused(self, *words: str, code: int = 1, user: str = ADMIN) -> str:
        """The one sentence that it says when it ends with this code."""
        done = self.run(*words, user=user)
        assert (done.returncode, done.stdout) == (code, ""), done
        assert len(done.stderr.splitlines()) == 1, done
        assert done.stderr.startswith("leasehold: "), done
        return done.stderr.removeprefix("leasehold: ").strip()

    def make(self, name: str, status: Mapping[str, Any] | None = None, **spec: Any) -> None:
        """A Lock, and its status."""
        self.api.create("locks", lock(name, spec), self.namespace)
        if status is not None:
            self.set(name, status)

    def set(self, name: str, status: Mapping[str, Any]) -> None:
        """Set a Lock's status, as the operator does."""
        self.api.patch("locks", name, {"status": status}, self.namespace, subresource="status")

    def spec(self, name: str) -> Mapping[str, Any]:
        """A Lock's spec."""
        found = self.api.get("locks", name, self.namespace)
        assert found is not None
        spec: Mapping[str, Any] = found["spec"]
        return spec

    def data(self, *words: str) -> Any:
        """What it prints as JSON."""
        return json.loads(self.ok(*words, "-o", "json"))


def lock(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """A Lock to create."""
    return {"apiVersion": "leasehold.dev/v1alpha1", "kind": "Lock", "metadata": {"name": name}, "spec": dict(spec)}


def columns(line: str) -> Sequence[str]:
    """The cells of a table's line."""
    return line.split()


@contextlib.contextmanager
def running(plugin: Plugin, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`kubectl leasehold …` while the block runs; ended with it."""
    command, pipe = plugin.command("leasehold", *words), subprocess.PIPE
    with subprocess.Popen(command, env=plugin.environ(), text=True, stdout=pipe, stderr=pipe) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code and all that it printed, once it has ended by itself."""
    printed, complaints = process.communicate(timeout=PATIENCE)
    return process.returncode, printed + complaints
