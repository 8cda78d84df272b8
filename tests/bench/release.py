"""Release: a native sidecar's TERM right after its app's end, as the kubelet sends it, until the next one leads."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.bench.candidates import Candidate, Sidecar, sidecar_of
from tests.bench.handover import ByTerm, contest
from tests.bench.samples import Table, milliseconds, percentiles, ratios
from tests.bench.scale import Bench
from tests.servers import Process, release_port, reserve_port, wait_for
from tests.support.sidecars import request

APP: Final = """
import http.server, sys
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Healthy).serve_forever()
"""


class Pod:
    """A sidecar with the flags of a pod's, and the app beside it; the preStop hook has marked the pod's end."""

    def __init__(self, bench: Bench, kind: type[Sidecar], lock: str, name: str) -> None:
        self._port = reserve_port()
        self._state = tempfile.TemporaryDirectory(prefix="leasehold-bench-")
        self.app = Process([sys.executable, "-c", APP, str(self._port)], name=f"app of {name}")
        flags = ["--native-sidecar", "--state-dir", self._state.name, "--app-health", f"http://127.0.0.1:{self._port}/"]
        self.sidecar = kind(bench.etcd, lock, name, bench.env, flags=flags)

    def start(self) -> None:
        """The app first: a sidecar that finds none looks for it only a second later."""
        self.app.start()
        wait_for(self._answers, f"{self.app.name} to answer", 60)
        self.sidecar.start()

    def _answers(self) -> bool:
        try:
            return request("GET", f"http://127.0.0.1:{self._port}/")[0] == 200
        except OSError:
            return False

    def end_app(self) -> None:
        """The pod ends: the mark, and then the app."""
        Path(self._state.name, "ending").touch()
        self.app.kill()

    def close(self) -> None:
        """End both."""
        self.sidecar.close()
        self.app.close()
        release_port(self._port)
        self._state.cleanup()


class AppEnds(ByTerm):
    """The leader's app ends, then the leader gets SIGTERM, as a native sidecar does."""

    def __init__(self, bench: Bench, name: str, lock: str, kind: type[Sidecar]) -> None:
        self._pods: dict[Candidate, Pod] = {}
        self._lock, self._kind, self._bench = lock, kind, bench
        super().__init__(bench, name, Sidecar.prefix.format(lock=lock), self._made_sidecar)

    def _made_sidecar(self, name: str) -> Candidate:
        pod = Pod(self._bench, self._kind, self._lock, name)
        self._pods[pod.sidecar] = pod
        return pod.sidecar

    def _start(self) -> Candidate:
        self._made += 1
        candidate = self._make(f"{self._made}")
        self._pods[candidate].start()
        return candidate

    def _hand_over(self, leader: Candidate) -> float:
        self._pods[leader].end_app()
        return super()._hand_over(leader)

    def _after(self, leader: Candidate) -> None:
        leader.process.wait()
        self._pods.pop(leader).close()

    def close(self) -> None:
        """End all."""
        for pod in self._pods.values():
            pod.close()


def run(bench: Bench) -> list[Table]:
    """Ours, and the build before it if there is one, in turn."""
    duels = [AppEnds(bench, "leasehold", "release", Sidecar)]
    if bench.before:
        duels.append(AppEnds(bench, "leasehold before", "release-before", sidecar_of(bench.before)))
    samples = [duel.sample for duel in contest(bench, duels)]
    notes = [
        "The app is killed, and the sidecar gets TERM at once: from TERM until the successor's word that it leads."
    ]
    title = "Release of a native sidecar after its app's end"
    tables = [percentiles(title, samples, milliseconds, notes)]
    return [*tables, *([ratios(f"{title}, in ratios", samples)] if bench.before else [])]
