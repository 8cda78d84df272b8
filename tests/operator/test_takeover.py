"""Two operators, of which one writes: it dies, stops or freezes, and the other takes over without a word too many.

Leases outlast all of that. That of one that is killed is revoked by hand, which is what its end is; only one that is
frozen is waited for, since it must wake after its own deadline.
"""

import signal
from collections.abc import Callable

import pytest

from tests.cluster import ControlPlane
from tests.operator.lock_objects import declared, is_ready, lock
from tests.operator.operator_manifest import OPERATOR_NAMESPACE
from tests.operator.operator_process import Operator
from tests.servers import EtcdServer, wait_for
from tests.support.sidecars import PATIENCE
from tests.support.stored_lock import StoredLock

Start = Callable[..., Operator]
Stored = Callable[[str], StoredLock]


class Pair:
    """An active operator, its standby, and a declared Lock `db`."""

    def __init__(
        self, api: ControlPlane, namespace: str, start: Start, db: StoredLock, election: StoredLock, ttl: int
    ) -> None:
        self.api = api
        self.namespace = namespace
        self.db = db
        self.election = election
        self.one = start("one", ttl=ttl)
        self.one.wait_active()
        self.two = start("two", ttl=600)
        wait_for(lambda: self.two.is_ready() and self.order() == ["one", "two"], "the standby to be ready", PATIENCE)
        api.create("locks", lock("db", leaseDurationSeconds=7), namespace)
        api.wait("locks", "db", namespace, until=is_ready, what="ready")

    def order(self) -> list[str]:
        """Who is active, and who waits to be, as etcd has it."""
        return self.election.identities()

    def token(self, name: str) -> int:
        """The fencing token of the replica: its writes are tied to it."""
        return self.election.entry_of(name).create_revision

    def change(self, seconds: int) -> None:
        """Change the Lock."""
        self.api.patch("locks", "db", {"spec": {"leaseDurationSeconds": seconds}}, self.namespace)

    def wait_declared(self, seconds: int) -> None:
        """Return when the change is in etcd, and its status says so."""
        what = f"{seconds} s to be declared"
        wait_for(lambda: declared(self.db).get("leaseDurationSeconds") == seconds, what, PATIENCE)
        self.api.wait("locks", "db", self.namespace, until=is_ready, what="ready")

    def spec_writes(self) -> int:
        """How often the Lock's spec key was written since it was made."""
        kv = self.db.ctl.get(self.db.keys.spec)
        return kv.version if kv else 0


@pytest.fixture
def pair(
    request: pytest.FixtureRequest,
    api: ControlPlane,
    namespace: str,
    operator_factory: Start,
    stored: Stored,
    etcd: EtcdServer,
    root: str,
) -> Pair:
    """The parameter, if there is one, is the TTL of the first."""
    election = StoredLock(etcd.ctl, root, f"{OPERATOR_NAMESPACE}/leasehold-operator")
    return Pair(api, namespace, operator_factory, stored("db"), election, getattr(request, "param", 600))


def test_the_standby_writes_nothing(pair: Pair) -> None:
    pair.change(8)
    pair.wait_declared(8)
    wait_for(lambda: pair.one.is_idle() and pair.two.is_idle(), "both to be idle", PATIENCE)
    assert (pair.two.etcd_writes(), pair.two.api_writes(), pair.two.is_active()) == (0, 0, False)
    assert pair.spec_writes() == 2
    assert (pair.one.errors(), pair.two.errors()) == (0, 0)


def test_the_active_one_is_killed(pair: Pair) -> None:
    """What was changed meanwhile is declared by the other, once; the first comes back as the standby."""
    before = pair.token("one")
    pair.one.kill()
    pair.change(8)
    pair.election.end_lease("one")
    pair.wait_declared(8)
    assert pair.two.is_active()
    assert pair.order()[0] == "two"
    assert pair.token("two") > before
    assert pair.spec_writes() == 2

    pair.one.start()
    wait_for(lambda: pair.one.is_ready() and pair.order() == ["two", "one"], "the first to be the standby", PATIENCE)
    pair.change(9)
    pair.wait_declared(9)
    wait_for(pair.one.is_idle, "the first to be idle", PATIENCE)
    assert (pair.one.etcd_writes(), pair.one.api_writes()) == (0, 0)
    assert pair.spec_writes() == 3
    assert (pair.one.errors(), pair.two.errors()) == (0, 0)


def test_the_active_one_is_stopped(pair: Pair) -> None:
    """It gives its lock up first of all: its key is gone when it ends, and nobody waits for its lease."""
    pair.one.signal(signal.SIGTERM)
    pair.change(8)
    pair.wait_declared(8)
    assert pair.one.wait() == 0
    assert pair.order() == ["two"]
    wait_for(pair.two.is_active, "the standby to be active", PATIENCE)  # the change may yet be of the first
    assert pair.spec_writes() == 2
    assert pair.two.errors() == 0


@pytest.mark.parametrize("pair", [6], indirect=True)
def test_the_active_one_is_frozen(pair: Pair) -> None:
    """Its token is worth nothing when it thaws: it writes nothing more, and queues up behind the other."""
    written = pair.one.etcd_writes()
    pair.one.pause()
    pair.change(8)
    pair.wait_declared(8)
    token = pair.token("two")
    assert pair.two.is_active()

    pair.one.resume()
    wait_for(lambda: pair.order() == ["two", "one"], "the first to queue up again", PATIENCE)
    assert not pair.one.is_active()
    pair.change(9)
    pair.wait_declared(9)
    wait_for(lambda: pair.one.is_ready() and pair.one.is_idle(), "the first to be idle", PATIENCE)
    assert pair.one.etcd_writes() == written
    assert pair.spec_writes() == 3
    assert (pair.order(), pair.token("two")) == (["two", "one"], token)
    assert pair.two.is_active()
    assert (pair.one.errors(), pair.two.errors()) == (0, 0)
