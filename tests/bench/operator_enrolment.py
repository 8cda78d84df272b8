"""A cold start that also gives each of a thousand namespaces its etcd user and certificate, beside one that does not.

Both have TLS, and servers of their own. The operator that enrols has the chart's rights for it.
"""

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from leasehold.etcd.tls import TLSFiles
from tests.bench.operator_setup import PATIENCE, ROOT
from tests.bench.processes import cpu_seconds, memory
from tests.bench.samples import MeasurementFailed, Table, megabytes, say, whole_seconds
from tests.bench.scale import Bench
from tests.cluster import ControlPlane
from tests.operator import many_locks
from tests.operator.enrolled import SECRET, enrol_flags, install_rights, tls_flags
from tests.operator.operator_manifest import OPERATOR_NAMESPACE, install_operator
from tests.operator.operator_process import Operator
from tests.servers import CertificateAuthority, EtcdServer

_LOOK_EVERY = 0.5


@dataclass
class Start:
    """What a cold start took: seconds from the start of the process, and bytes. `enrolled` 0: nobody was."""

    name: str
    declared: float
    enrolled: float
    cpu: float
    etcd: float
    peak: int


def run(bench: Bench) -> list[Table]:
    """One after the other, over equally many Locks that no operator has seen."""
    return [_table(bench, [_measure(bench, enrols=False), _measure(bench, enrols=True)])]


def _measure(bench: Bench, *, enrols: bool) -> Start:
    with _scene(bench) as scene:
        say(f"operator: a cold start {'with' if enrols else 'without'} enrolment")
        with scene.operator(enrols=enrols) as operator:
            return scene.watch(operator, enrols=enrols)


class _Scene:
    """An etcd with TLS, and Locks in many namespaces."""

    def __init__(self, bench: Bench, api: ControlPlane, etcd: EtcdServer, certs: CertificateAuthority) -> None:
        self.bench = bench
        self.api = api
        self.etcd = etcd
        self.certs = certs
        scale = bench.scale
        self.names = many_locks.names(0, scale.operator_crowd, scale.operator_namespaces)
        self.namespaces = len({name.namespace for name in self.names})
        self.own = certs.client("leasehold-operator")

    @contextmanager
    def operator(self, *, enrols: bool) -> Iterator[Operator]:
        """One that is not started yet."""
        flags = ["--log-level", "info", *tls_flags(self.own)]
        user = install_operator(self.api)
        if enrols:
            user = install_rights(self.api)
            flags += enrol_flags(self.certs, self.certs.path, self.certs.key)
        settings = {"root": ROOT, "namespace": OPERATOR_NAMESPACE, "ttl": 15, "flags": flags, "env": self.bench.env}
        operator = Operator(self.etcd.url, self.api.kubeconfig(user), "enrols" if enrols else "plain", **settings)  # type: ignore[arg-type]  # values of several types
        many_locks.make_locks(self.api, self.names)
        try:
            yield operator
        finally:
            operator.close()

    def watch(self, operator: Operator, *, enrols: bool) -> Start:
        """Start it, and wait until all is declared, and everybody enrolled; statuses are another table's."""
        before, begun, peak = cpu_seconds(self.etcd.process.pid), time.monotonic(), 0
        operator.start()
        declared = enrolled = 0.0
        now = {"declared": 0.0}
        while (taken := time.monotonic() - begun) < PATIENCE:
            with contextlib.suppress(TimeoutError):  # on a machine that busy, the figures are worth little anyway
                now, peak = operator.metrics(), max(peak, memory(operator.pid).rss)
            if not declared and now["declared"] == len(self.names) == self._declared():
                declared = taken
            if enrols and not enrolled and now.get("enrolment_certificates_total", 0) >= self.namespaces:
                enrolled = taken
            if declared and bool(enrolled) is enrols:
                self._check(enrols=enrols)
                name = f"leasehold, {'each namespace enrolled' if enrols else 'without enrolment'}"
                used = cpu_seconds(self.etcd.process.pid) - before
                return Start(name, declared, enrolled, cpu_seconds(operator.pid), used, peak)
            time.sleep(_LOOK_EVERY)
        raise MeasurementFailed(
            f"the operator has not done all after {PATIENCE:.0f} s: {self._declared()} are declared"
        )

    def _declared(self) -> int:
        return many_locks.declared_count(self.etcd.url, ROOT, TLSFiles(self.own.ca, self.own.cert, self.own.key))

    def _check(self, *, enrols: bool) -> None:
        path = f"/api/v1/secrets?fieldSelector=metadata.name={SECRET}"
        found = len(self.api.rest.call("GET", path)["items"])
        if found != (self.namespaces if enrols else 0):
            raise MeasurementFailed(f"{found} namespaces of {self.namespaces} have their Secret")


@contextmanager
def _scene(bench: Bench) -> Iterator[_Scene]:
    with TemporaryDirectory(prefix="leasehold-bench-") as place:
        certs = CertificateAuthority(Path(place))
        with EtcdServer(authority=certs, mutual=True) as etcd, ControlPlane(name="bench-enrol") as api:
            yield _Scene(bench, api, etcd, certs)


def _table(bench: Bench, runs: list[Start]) -> Table:
    columns = ("all declared", "all enrolled", "peak RSS", "CPU, operator", "CPU, etcd")
    rows = [
        [
            one.name,
            whole_seconds(one.declared),
            whole_seconds(one.enrolled) if one.enrolled else "–",
            megabytes(one.peak),
            whole_seconds(one.cpu),
            whole_seconds(one.etcd),
        ]
        for one in runs
    ]
    plain, enrolling = runs
    scale = bench.scale
    notes = [
        f"{scale.operator_crowd} Locks in {scale.operator_namespaces} namespaces, none of which any operator has seen, "
        f"and none held. Declared took {enrolling.declared / plain.declared:.2f} times as long with enrolment. Each "
        "namespace gets a role, a user, a certificate and a Secret; authentication is turned on after the last one."
    ]
    return Table("The operator's cold start with enrolment", columns, rows, notes)
