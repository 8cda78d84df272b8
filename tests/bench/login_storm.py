"""`python -m tests.bench.login_storm`: all tokens of many leaders become void at once, and etcd has little CPU time.

etcd's password check is CPU time (bcrypt). One change of users voids every JWT. Beside the sidecars the same number of
plain clients is measured, each of which logs in once and waits, and then of clients that also renew a lease and have it
confirmed: no candidate can keep a term that such a client, which learns of it when the sidecar would, is too late for.
Root only, for etcd's control group (cgroup v1).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.bench.patient_renewals import STEPS, Patients
from tests.servers import EtcdServer
from tests.support.sidecars import Sidecar

PASSWORD: Final = "secret"
PERIOD_MICROSECONDS: Final = 100_000
STARTS_AT_ONCE: Final = 4
GIVE_UP_SECONDS: Final = 600.0
LONGEST_WEIGHT: Final = 262_144
"""So that a busy machine takes nothing of etcd's part away."""
CERTAIN: Final = 0.99 / 1.01
"""What of its TTL a sidecar counts on (guarantee 2)."""


@dataclass(frozen=True)
class Storm:
    """What is measured."""

    sidecars: int
    processors: float
    """How many etcd may use."""
    cost: int
    ttl: int

    @property
    def learnt_after(self) -> float:
        """Seconds from a keep-alive to the next, which finds that the token is void."""
        return self.ttl / 3

    @property
    def patience(self) -> float:
        """Seconds that are left of the lease then."""
        return self.ttl * CERTAIN - self.learnt_after


@dataclass
class Course:
    """What became of the sidecars' terms."""

    waiting: dict[str, tuple[Sidecar, int]]
    """Not renewed yet, with their tokens."""
    renewed: list[float] = field(default_factory=list)
    """Seconds after the change until the renewed lease was seen."""
    lost: list[float] = field(default_factory=list)

    def look(self, voided: float, ttl: int) -> None:
        """Ask everybody whose term is in doubt once."""
        for name, (sidecar, token) in list(self.waiting.items()):
            answer = sidecar.ask()
            lost = not answer.leading or answer.token != token
            if lost or answer.sent + answer.fields["validForSeconds"] - ttl * CERTAIN > voided:
                (self.lost if lost else self.renewed).append(answer.received - voided)
                del self.waiting[name]


@contextlib.contextmanager
def limited(pid: int, processors: float) -> Iterator[None]:
    """The process has no more CPU time than this, whatever it does."""
    group = Path(f"/sys/fs/cgroup/cpu/leasehold-{os.getpid()}-storm")
    group.mkdir()
    try:
        (group / "cpu.shares").write_text(str(LONGEST_WEIGHT))
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_MICROSECONDS))
        (group / "cpu.cfs_quota_us").write_text(str(round(processors * PERIOD_MICROSECONDS)))
        (group / "cgroup.procs").write_text(str(pid))
        yield
        (group.parent / "cgroup.procs").write_text(str(pid))
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()


def patient_logins(server: EtcdServer, storm: Storm) -> list[float]:
    """How long each of the plain clients waits for its token; they come as the sidecars' keep-alives do.

    Infinity for those that etcd refuses: it gives each request a time of its own.
    """
    begin = time.monotonic()

    def log_in(number: int) -> float:
        time.sleep(max(0.0, begin + storm.learnt_after * number / storm.sidecars - time.monotonic()))
        sent = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=GIVE_UP_SECONDS)
        connection.request("POST", "/v3/auth/authenticate", json.dumps({"name": "app", "password": PASSWORD}))
        answered = connection.getresponse().status == http.client.OK
        return time.monotonic() - sent if answered else math.inf

    with ThreadPoolExecutor(storm.sidecars) as pool:
        return list(pool.map(log_in, range(storm.sidecars)))


def renewed(server: EtcdServer, storm: Storm, password: Path) -> list[list[float]]:
    """How long each of the clients that renew needs, step by step, from when it learns that its token is void."""
    return asyncio.run(_renewed(server, storm, password))


async def _renewed(server: EtcdServer, storm: Storm, password: Path) -> list[list[float]]:
    patients = Patients(server.url, "app", password, "/leasehold/patient-", storm.sidecars)
    await patients.prepare()
    with limited(server.process.pid, storm.processors):
        await asyncio.to_thread(server.ctl.run, "user", "add", f"other:{PASSWORD}")
        found = await patients.renew([storm.learnt_after * number / storm.sidecars for number in range(storm.sidecars)])
    await patients.close()
    return found


def led(sidecar: Sidecar) -> tuple[Sidecar, int]:
    """The sidecar once it leads, and its token."""
    sidecar.start()
    return sidecar, sidecar.wait_leading(GIVE_UP_SECONDS).token


def weather(server: EtcdServer, storm: Storm, password: Path) -> Course:
    """Start the sidecars, add a user, and watch until each has renewed its lease or lost it."""
    flags = ("--etcd-user", "app", "--etcd-password-file", str(password))
    with contextlib.ExitStack() as stack:
        made = [
            Sidecar(server.url, f"s{number}", root="/leasehold", lock=f"lock-{number}", ttl=storm.ttl, flags=flags)
            for number in range(storm.sidecars)
        ]
        for sidecar in made:
            stack.callback(sidecar.close)
        with ThreadPoolExecutor(STARTS_AT_ONCE) as pool:
            course = Course({sidecar.name: (sidecar, token) for sidecar, token in pool.map(led, made)})
        stack.enter_context(limited(server.process.pid, storm.processors))
        server.ctl.run("user", "add", f"unrelated:{PASSWORD}")
        voided = time.monotonic()
        while course.waiting and time.monotonic() < voided + GIVE_UP_SECONDS:
            course.look(voided, storm.ttl)
            time.sleep(0.2)
    return course


def measure(storm: Storm, *, sidecars: bool) -> dict[str, object]:
    """All of them, one after the other, on one etcd; the sidecars only if asked for."""
    with tempfile.TemporaryDirectory(prefix="leasehold-storm-") as name:
        key, password = Path(name, "key"), Path(name, "password")
        key.write_text("a key for signatures")
        password.write_text(PASSWORD)
        token = f"--auth-token=jwt,priv-key={key},sign-method=HS256,ttl=1h"
        with EtcdServer(flags=[f"--bcrypt-cost={storm.cost}", token]) as server:
            server.enable_auth({"app": PASSWORD})
            with limited(server.process.pid, storm.processors):
                waits = sorted(patient_logins(server, storm))
            renewals = renewed(server, storm, password)
            course = weather(server, storm, password) if sidecars else Course({})
    return {
        "load": os.getloadavg()[0],
        "patient logins, seconds: first, middle, last": [
            _shown(waits[0]),
            _shown(waits[len(waits) // 2]),
            _shown(waits[-1]),
        ],
        "patient logins that etcd refused": waits.count(math.inf),
        "terms that patient logins would lose": sum(wait > storm.patience for wait in waits),
        "patient renewals, seconds until the first was": {
            step: _shown(min(one[number] for one in renewals)) for number, step in enumerate(STEPS)
        },
        "terms that patient renewals would lose": sum(one[-1] > storm.patience for one in renewals),
        "terms lost": len(course.lost),
        "leases renewed": len(course.renewed),
        "seconds until the last was renewed": max(course.renewed, default=0.0),
        "neither after ten minutes": len(course.waiting),
    }


def _shown(seconds: float) -> float | None:
    return None if math.isinf(seconds) else seconds  # JSON has no infinity


def main(arguments: Sequence[str]) -> int:
    """Print what was measured as JSON; 1 when more terms were lost than patient logins lose."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.login_storm", description=__doc__)
    parser.add_argument("--sidecars", type=int, default=24)
    parser.add_argument("--processors", type=float, default=0.2, help="what etcd may use of them (0.2)")
    parser.add_argument("--cost", type=int, default=10, help="etcd's --bcrypt-cost (10, etcd's own default)")
    parser.add_argument("--ttl", type=int, default=15)
    parser.add_argument("--clients-only", action="store_true", help="start no sidecars: the plain clients alone")
    given = parser.parse_args(arguments)
    storm = Storm(given.sidecars, given.processors, given.cost, given.ttl)
    found = measure(storm, sidecars=not given.clients_only)
    sys.stdout.write(json.dumps({**vars(given), **found}, indent=1) + "\n")
    lost, allowed = (found[name] for name in ("terms lost", "terms that patient logins would lose"))
    return int(isinstance(lost, int) and isinstance(allowed, int) and lost > allowed)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
