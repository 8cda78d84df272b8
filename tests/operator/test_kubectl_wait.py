"""`kubectl leasehold wait` watches, and outlives what ends a watch. The test sets the status, as the operator would."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from leasehold.kubectl import waiting
from leasehold.kubectl.cluster import Cluster
from leasehold.kubectl.errors import ClusterError, NotThereError, OutdatedError
from leasehold.kubectl.lock import LockView
from leasehold.lock.names import LockName
from tests.cluster import ControlPlane
from tests.operator.kubectl_plugin import Plugin, ended, holder, running, status_of
from tests.servers import PATIENCE, wait_for

A = holder("a", 217)


def test_wait_for_what_is_so(plugin: Plugin) -> None:
    plugin.make("db", status_of(A))
    assert plugin.ok("wait", "db") == "lock.leasehold.dev/db is held by a (token 217)\n"
    assert plugin.data("wait", "db", "--for", "holder=a")["status"]["holderIdentity"] == "a"
    assert "it was not free: the Lock" in plugin.refused("wait", "db", "--for", "free", "--timeout", "0")
    begun, missed = plugin.run("wait", "db", "--for=holder=b", "--timeout=300ms").stderr.splitlines()
    assert begun.startswith("leasehold: Waiting up to 0s, since it was not held by b yet: the Lock")
    assert begun.endswith("/db is held by a (token 217).")
    assert "not held by b: the Lock" in missed


def test_wait_for_what_comes(plugin: Plugin) -> None:
    """A status of an older spec does not count, nor one that does not know."""
    plugin.make("db", status_of(A))
    plugin.ok("suspend", "db")
    with running(plugin, "wait", "db", "--for", "free", "--timeout", "10m") as process:
        plugin.set("db", status_of())
        plugin.set("db", status_of(generation=2, held="Unknown"))
        assert process.poll() is None
        plugin.set("db", status_of(generation=2))
        code, said = ended(process)
    assert (code, said.splitlines()[0]) == (0, "lock.leasehold.dev/db is suspended, and nobody holds it")


class Watched(Cluster):
    """Tells when a watch begins, and can be made to begin one in the past."""

    def __init__(self, plugin: Plugin) -> None:
        super().__init__(plugin.ref(), 30)
        self.watches = 0
        self.version = ""
        self.outdated = 0

    def watch(self, lock: LockName, version: str, seconds: float) -> Iterator[LockView | None]:
        self.watches += 1
        version, self.version = self.version or version, ""
        try:
            yield from super().watch(lock, version, seconds)
        except OutdatedError:
            self.outdated += 1
            raise


@pytest.fixture
def waiter(
    kubectl_of_this_process: None,
) -> Iterator[Callable[[Plugin, str], tuple[Watched, threading.Thread, list[Any]]]]:
    """Begins a wait in a thread; its outcome comes into the list."""
    started: list[tuple[Watched, threading.Thread]] = []

    def begin(plugin: Plugin, goal: str, version: str = "") -> tuple[Watched, threading.Thread, list[Any]]:
        cluster, outcome = Watched(plugin), list[Any]()
        cluster.version = version
        one = waiting.Waiting(cluster, LockName(plugin.namespace, "db"), waiting.goal(goal), PATIENCE)

        def run() -> None:
            try:
                outcome.append(one.run())
            except ClusterError as error:
                outcome.append(error)

        thread = threading.Thread(target=run, daemon=True)
        started.append((cluster, thread))
        thread.start()
        wait_for(lambda: cluster.watches or outcome, "the watch to begin", PATIENCE)
        return cluster, thread, outcome

    yield begin
    for cluster, thread in started:
        thread.join(PATIENCE)
        cluster.close()


def test_a_wait_is_one_watch(plugin: Plugin, waiter: Callable[..., Any]) -> None:
    """It does not ask again and again: what it waits for is told to it."""
    plugin.make("db", status_of())
    cluster, thread, outcome = waiter(plugin, "held")
    plugin.set("db", status_of(waiting=1))
    plugin.set("db", status_of(A))
    thread.join(PATIENCE)
    assert outcome == [True]
    assert cluster.watches == 1


def test_a_lock_that_goes_ends_the_wait(plugin: Plugin, waiter: Callable[..., Any]) -> None:
    plugin.make("db", status_of(A))
    _, thread, outcome = waiter(plugin, "free")
    plugin.api.delete("locks", "db", plugin.namespace)
    thread.join(PATIENCE)
    assert isinstance(outcome[0], NotThereError)
    assert "was deleted meanwhile" in str(outcome[0])


def test_a_wait_outlives_the_api_server(
    control_plane_factory: Callable[..., ControlPlane], waiter: Callable[..., Any]
) -> None:
    """It is killed, and history before its next start is compacted: the wait looks anew."""
    own = control_plane_factory(name="restarted", controllers=False)
    plugin = Plugin(own, "default")
    plugin.make("db", status_of())
    first, thread, outcome = waiter(plugin, "held")
    past = first.get(LockName("default", "db")).resource_version
    own.apiserver.kill()
    own.apiserver.start()
    own.compact()
    own.apiserver.restart()
    late, late_thread, late_outcome = waiter(plugin, "held", past)
    plugin.set("db", status_of(A))
    thread.join(PATIENCE)
    late_thread.join(PATIENCE)
    assert outcome == late_outcome == [True]
    assert late.outdated == 1
