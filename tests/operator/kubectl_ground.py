"""kubectl and the plugin side by side: the same flags, the same environment, and the audit log as the judge."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster import ControlPlane
from tests.operator.kubectl_plugin import SCRIPTS
from tests.servers import PATIENCE, CertificateAuthority, program

KUBECTL = ("get", "locks.leasehold.dev", "-o", "name")
PLUGIN = ("leasehold", "list", "-o", "name")


@dataclass(frozen=True)
class Outcome:
    """How a program ended, and as whom it asked for Locks: each as the audit log has it."""

    code: int
    printed: str
    said: str
    asked_as: frozenset[str]


class Ground:
    """A control plane with an audit log, and a directory for the kubeconfigs of one test."""

    def __init__(self, plane: ControlPlane, clients: CertificateAuthority, directory: Path) -> None:
        self.plane = plane
        self.clients = clients
        self.directory = directory
        self.environ: dict[str, str] = {}

    def config(self, name: str = "config", **changes: Any) -> str:
        """A kubeconfig in the test's directory; `user`, `cluster` and `context` add to its parts, `None` drops one."""
        config = json.loads(self.plane.kubeconfig().read_text())
        for part in ("cluster", "user", "context"):
            (one,) = config[f"{part}s"]
            changed = {**one[part], **changes.get(part, {})}
            one[part] = {key: value for key, value in changed.items() if value is not None}
        return self.write(name, {**config, **changes.get("top", {})})

    def write(self, name: str, content: Mapping[str, Any] | str) -> str:
        """A file in the test's directory."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    def script(self, name: str, text: str) -> str:
        """A program in the test's directory."""
        path = Path(self.write(name, f"#!/bin/sh\n{text}\n"))
        path.chmod(0o755)
        return str(path)

    def env(self) -> dict[str, str]:
        """The environment of both programs."""
        path = os.pathsep.join((str(SCRIPTS), str(program("kubectl").parent), "/usr/bin", "/bin"))
        base = {"HOME": str(self.directory), "PATH": path, "KUBECONFIG": str(self.directory / "config")}
        return {**base, **self.environ}

    def run(self, *words: str, before: Sequence[str] = ()) -> Outcome:
        """kubectl with these words, until it ends; `before` is what starts it."""
        known = len(self._events())
        done = subprocess.run(
            [*before, str(program("kubectl")), *words],
            env=self.env(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        asked = frozenset(map(_identity, filter(_about_locks, self._events()[known:])))
        return Outcome(done.returncode, done.stdout, done.stderr, asked)

    def _events(self) -> Sequence[Mapping[str, Any]]:
        """What was asked for so far; nothing if the control plane does not note it."""
        try:
            return self.plane.audit_events()
        except FileNotFoundError:
            return ()

    def both(self, *flags: str, before: Sequence[str] = ()) -> tuple[Outcome, Outcome]:
        """What kubectl and the plugin come to with the same flags."""
        return self.run(*KUBECTL, *flags, before=before), self.run(*PLUGIN, *flags, before=before)


def _about_locks(event: Mapping[str, Any]) -> bool:
    return bool(event.get("objectRef", {}).get("resource") == "locks")


def _identity(event: Mapping[str, Any]) -> str:
    """Who asked, and as whom, but for what differs between two requests of one user."""
    user = {key: event["user"].get(key) for key in ("username", "uid", "groups")}
    return json.dumps([user, event.get("impersonatedUser")], sort_keys=True)
