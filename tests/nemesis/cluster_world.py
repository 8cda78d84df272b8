"""What the nemesis torments: three members of etcd, and sidecars that reach each of them by a proxy of their own."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from tests.nemesis.checker import ill_settled
from tests.nemesis.etcd_gateway import Gateway, Unanswered, padded
from tests.nemesis.history import Asked, Broken, History, Released, Setup, Started, Step
from tests.nemesis.history import Final as Finally
from tests.nemesis.log_reader import LogReader
from tests.nemesis.observer import Observer
from tests.nemesis.queue_record import declared, identity_of
from tests.servers import Disk, EtcdCluster, Proxy, Toxiproxy, Version, disks_available, skewed_clock, wait_for
from tests.servers.toxiproxy import all_but_one
from tests.support.paused_log import PausedLog
from tests.support.sidecars import LOCK, Sidecar

TTL: Final = 3
ROOT: Final = "/nemesis"
USER: Final = "sidecars"
PASSWORD: Final = "secret"
PATIENCE: Final = 120.0
"""Seconds in which what was healed must be well again, and somebody must lead: only a fault of ours takes longer."""


@dataclass(frozen=True)
class Shape:
    """What a world is made of."""

    seed: int = 1
    version: Version = "3.7"
    names: tuple[str, ...] = ("a", "b", "c", "d")
    rates: Mapping[str, float] = field(default_factory=lambda: {"b": 1.007, "c": 0.993})
    """How fast the clocks of some run; within the drift of 1 % that a sidecar allows for."""
    keeping: frozenset[str] = frozenset("ac")
    """Those with a state directory: they take their term up again after a restart."""
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What to start instead of `leasehold run`, for those named."""
    with_disk: bool = False
    """Whether the first member's disk can hang."""
    apart: bool = False
    """Whether each sidecar begins with one member only, until that is healed: the first with the first, and so on."""
    with_users: bool = False
    """Whether etcd wants to know who asks: passwords, and signed tokens that each change of users makes void."""

    @classmethod
    def of(cls, seed: int, version: Version = "3.7") -> Self:
        """What a seed's world is made of: every other one has users, and only an old etcd a disk that can hang."""
        new = version == "3.7"
        return cls(seed, version, with_disk=not new and disks_available(), with_users=new and seed % 2 == 1)


class Candidate(Sidecar):
    """One sidecar, the proxies that lead to each member, and whether it ought to be alive."""

    def __init__(self, shape: Shape, name: str, proxies: list[Proxy], places: Path) -> None:
        self.proxies = proxies
        self.wanted = False
        flags = list(_flags(shape, name, places))
        rate = shape.rates.get(name)
        log = PausedLog(places / f"log of {name}")
        command = log.command(*shape.commands.get(name, (sys.executable, "-m", "leasehold", "run")))
        env = skewed_clock(rate) if rate else None
        etcd = ",".join(proxy.url for proxy in proxies)
        super().__init__(etcd, name, root=ROOT, ttl=TTL, flags=flags, env=env, command=command)
        self.log_reader = LogReader(log, self.log_path)

    def start(self) -> None:
        """Start it, for the first time or anew; what was logged before stands before it in the log."""
        self.log_reader.catch_up()
        super().start()

    def close(self) -> None:
        """End it, and whoever reads its log."""
        self.log_reader.close()
        super().close()

    def releases(self) -> Iterator[int]:
        """The tokens of which its log says that it led under them and gave the lock up itself."""
        token, yielding = 0, False
        for line in self.log.splitlines():
            with contextlib.suppress(ValueError):
                record: dict[str, Any] = json.loads(line)
                message, told = str(record["message"]), int(record.get("token", 0))
                if told:
                    token = told
                if message.startswith("yielding: "):
                    yielding = True
                    yield token
                elif told and yielding:  # "gained" can be said late, but never later than "lost"
                    yielding = False
                    yield token

    def complaints(self) -> Iterator[str]:
        """What its log has that no fault explains."""
        for line in self.log.splitlines():
            if '"exception"' in line or '"level": "error"' in line or "Traceback" in line:
                yield f"{self.name} logged {line[:2000]}"


def _flags(shape: Shape, name: str, places: Path) -> Iterator[str]:
    if name in shape.keeping:
        (places / name).mkdir()
        yield from ("--state-dir", str(places / name))
    if shape.with_users:
        (places / "password").write_text(PASSWORD)
        yield from ("--etcd-user", USER, "--etcd-password-file", str(places / "password"))


def _auth_flags(places: Path) -> Iterator[str]:
    (places / "key").write_text("a key for signatures")
    yield f"--auth-token=jwt,priv-key={places}/key,sign-method=HS256,ttl=1h"
    yield "--bcrypt-cost=8"  # each change of users means a dozen logins here, on processors that do all else, too


class World:
    """All of it, running while entered. Whatever is done to it is noted in `history`."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.keys = Keys(LockName.parse(LOCK, "default"), ROOT)
        about = f"seed {shape.seed}, etcd {shape.version}"
        setup = Setup(TTL, self.keys.queue, self.keys.spec, f"{ROOT}/register", dict(shape.rates), about=about)
        self.history = History(setup)
        self.spec: dict[str, object] = {}
        self.taken: set[str] = set()
        """Sidecars that a fault of their own has hit, and that no other such fault may hit until it is healed."""
        self.disk: Disk | None = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._build(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _build(self, stack: contextlib.ExitStack) -> None:
        shape = self.shape
        places = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leasehold-nemesis-")))
        stack.callback(self._close_cluster)
        self.disk = stack.enter_context(Disk()) if shape.with_disk else None  # closed before the member on it
        directories = [self.disk.path / "etcd"] if self.disk else []
        flags = list(_auth_flags(places)) if shape.with_users else []
        self.cluster = EtcdCluster(3, shape.version, flags=flags, directories=directories)
        self.cluster.start()
        ports = [member.port for member in self.cluster.members]
        root = self._enable_auth() if shape.with_users else ""
        self.gateway = Gateway(ports, root)
        stack.callback(self.gateway.close)
        self.gateway.put(self.history.setup.register, padded(0))
        proxies = stack.enter_context(Toxiproxy())
        self.candidates = []
        for number, name in enumerate(shape.names):
            one = Candidate(shape, name, [proxies.proxy(port) for port in ports], places)
            if shape.apart:
                for proxy in all_but_one(one.proxies, number):
                    proxy.cut()
            stack.callback(one.close)
            self.candidates.append(one)
            self.start(one)
            one.wait_queued()  # so that they stand in the queue in this order
        self.observer = stack.enter_context(Observer(self.history, self.candidates, ports, root, shape.seed))

    def _enable_auth(self) -> str:
        """Turn authentication on; the harness's own name and password."""
        first = self.cluster.members[0]
        first.enable_auth({USER: PASSWORD}, f"{ROOT}/")
        self.cluster.ctl.user = first.ctl.user
        return first.ctl.user or ""

    def _close_cluster(self) -> None:
        if hasattr(self, "cluster"):
            self.cluster.close()

    def say(self, what: str) -> None:
        """Note what was done, for those who read the story."""
        self.history.note(Step(time.monotonic(), what))

    # --- what may be done to sidecars and lock ------------------------------------------------------------------

    def start(self, one: Candidate) -> None:
        """Start a sidecar, for the first time or anew."""
        self.history.note(Started(one.name, time.monotonic()))
        one.start()
        one.wanted = True

    def kill(self, one: Candidate) -> None:
        """Kill a sidecar with -9."""
        one.wanted = False
        one.kill()

    def stop(self, one: Candidate) -> None:
        """Ask a sidecar by TERM to end; it may take until etcd answers."""
        one.wanted = False
        sent = time.monotonic()
        one.signal(signal.SIGTERM)
        self.history.note(Asked(one.name, "stop", sent, time.monotonic(), 0))
        one.resume()  # a frozen process would not see it
        if code := one.wait(PATIENCE):
            self.history.note(Broken(f"{one.name} ended with {code} after TERM"))

    def ask(self, one: Candidate, what: str) -> None:
        """POST to a sidecar's control listener; no answer is no harm."""
        sent = time.monotonic()
        try:
            status = one.post(f"/{what}")
        except (OSError, http.client.HTTPException):
            status = 0
        self.history.note(Asked(one.name, what, sent, time.monotonic(), status))

    def declare(self, **changes: object) -> None:
        """Write the lock's spec with these changes; None takes a field away. Raises Unanswered."""
        merged = {**self.spec, **changes}
        self.spec = {name: value for name, value in merged.items() if value is not None}
        self.gateway.put(self.keys.spec, json.dumps(self.spec))

    # --- how it stands ------------------------------------------------------------------------------------------

    def leader(self) -> Candidate | None:
        """One who said 200 within the last second, if any."""
        leading = self.observer.leading(time.monotonic() - 1.0)
        return next((one for one in self.candidates if one.name in leading), None)

    def wait_led(self, since: float) -> float | None:
        """Wait until somebody says 200 to a question asked after `since`; that instant, or None for never."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self.observer.leading(since):
                return time.monotonic()
            time.sleep(0.05)
        return None

    def wait_healthy(self) -> None:
        """Wait until etcd is well. Raises ProcessFailed when it is not: then the run is void."""
        for member in self.cluster.members:
            member.wait_healthy()
        self.cluster.leader()

    def finish(self) -> None:
        """Wait until all is settled, if it ever is; then note how it stands, and etcd's own record of it all."""
        end = time.monotonic() + PATIENCE
        spec = declared(json.dumps(self.spec))
        while any(ill_settled(final := self._final(), spec, self.history.setup.priorities)):
            if time.monotonic() > end:
                break
            time.sleep(0.2)
        self.history.note(final)
        self._note_logs()
        last = self.gateway.put(f"{ROOT}/end", "").revision
        for change in self.gateway.changes(f"{ROOT}/", last):
            self.history.note(change)

    def _final(self) -> Finally:
        asked = time.monotonic()
        try:
            queue = [identity_of(entry.value) for entry in self.gateway.prefix(self.keys.queue)]
        except Unanswered:
            queue = []
        live = [one.name for one in self.candidates if one.wanted and one.running]
        latest = self.observer.latest
        wait_for(lambda: all(name in latest and latest[name].sent > asked for name in live), "all to answer", PATIENCE)
        answers = {name: latest[name] for name in live}
        leading = [name for name, told in answers.items() if told.status == 200]
        return Finally(live, queue, leading, {name: told.position for name, told in answers.items()})

    def _note_logs(self) -> None:
        for one in self.candidates:
            one.log_reader.catch_up()
            for token in sorted(set(one.releases())):
                self.history.note(Released(one.name, token))
            for complaint in one.complaints():
                self.history.note(Broken(complaint))
            if one.wanted and not one.running:
                self.history.note(Broken(f"{one.name} ended by itself with {one.returncode}"))

    def save_logs(self, folder: Path) -> None:
        """Copy every sidecar's and every member's log."""
        for process in [*self.candidates, *(member.process for member in self.cluster.members)]:
            (folder / f"{process.name}.log").write_text(process.log)
