"""Real operator processes for the tests: started as users start them, with the rights that the manifest gives."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.servers import wait_for
from tests.support.json_log_process import JsonLogProcess
from tests.support.sidecars import PATIENCE, request


class Operator(JsonLogProcess):
    """One `leasehold operator`, or a later one of the same name: `start` again after `kill` keeps its flags."""

    def __init__(
        self,
        etcd: str,
        kubeconfig: Path,
        name: str,
        *,
        root: str,
        namespace: str,
        ttl: int = 5,
        flags: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        command: Sequence[str | Path] = (sys.executable, "-m", "leasehold", "operator"),
    ) -> None:
        words = [*command, "--etcd", etcd, "--kubeconfig", kubeconfig, "--identity", name, "--root", root]
        words += ["--namespace", namespace, "--ttl", str(ttl), "--listen", "127.0.0.1:0"]
        words += ["--log-format", "json", "--log-level", "debug"]
        super().__init__([*words, *flags], name=name, env=env)
        self.url = ""

    def start(self) -> None:
        """Start it and return when it listens; it may be neither ready nor active then."""
        super().start()
        wait_for(lambda: not self.running or self._listening() != "", f"{self.name} to listen", PATIENCE)
        assert self.running, f"{self.name} ended: {self.log_tail()}"
        self.url = f"http://{self._listening()}"

    def _listening(self) -> str:
        return next((str(record["listen"]) for record in self.records() if "listen" in record), "")

    def get(self, path: str) -> tuple[int, str]:
        """GET any path of its listener: status and body. Raises OSError when there is no answer."""
        return request("GET", self.url + path)

    def is_live(self) -> bool:
        """Whether /livez says 200."""
        return self._says("/livez")

    def is_ready(self) -> bool:
        """Whether /readyz says 200."""
        return self._says("/readyz")

    def _says(self, path: str) -> bool:
        try:
            return self.running and self.get(path)[0] == 200
        except OSError:
            return False

    def metrics(self) -> dict[str, float]:
        """All samples of /metrics by their series, `leasehold_operator_` left out: as they were at one instant."""
        lines = self.get("/metrics")[1].splitlines()
        samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {series.removeprefix("leasehold_operator_"): float(value) for series, _, value in samples if series}

    def metric(self, name: str, **labels: str) -> float:
        """One sample of /metrics; `leasehold_operator_` may be left out of the name. KeyError when there is none."""
        wanted = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
        return self.metrics()[name + (f"{{{wanted}}}" if wanted else "")]

    def is_active(self) -> bool:
        """Whether it is the replica that writes etcd; False also when it does not answer."""
        try:
            return self.running and self.metric("active") == 1
        except OSError:
            return False

    def wait_active(self, timeout: float = PATIENCE) -> None:
        """Return when it is the active replica and has seen all Locks and all of etcd."""
        wait_for(lambda: self.is_active() and self.is_ready(), f"{self.name} to be active", timeout)

    def api_writes(self) -> float:
        """How often it has written to the API server since its start, the canary apart."""
        return sum(self.metric("api_writes_total", kind=kind) for kind in ("status", "finalizers", "event", "label"))

    def etcd_writes(self) -> float:
        """How often it has written to etcd since its start."""
        return sum(self.metric("etcd_writes_total", kind=kind) for kind in ("put", "delete", "evict"))

    def errors(self, *kinds: str) -> float:
        """How many errors it has counted since its start: of these kinds, else `bug`, which there must never be."""
        return sum(self.metric("errors_total", kind=kind) for kind in kinds or ("bug",))

    def is_idle(self) -> bool:
        """Whether no Lock waits to be looked at, or is being looked at, or has a status to be written."""
        return self.metric("queue_length") == 0 and self.metric("reports_waiting") == 0
