"""A sidecar and the app beside it: its health decides whether to stand for the lock, its work how long to keep it."""

import signal
import sys
from collections.abc import Callable

import pytest

from tests.servers import EtcdServer, wait_for
from tests.support.exclusion_checker import Witness
from tests.support.run_bench import App, Bench
from tests.support.sidecars import PATIENCE, Sidecar


def test_the_life_of_an_app(bench: Bench) -> None:
    """Not healthy yet: not in the queue, so it stalls nobody. Healthy: it leads. Unhealthy: it hands over, leaves the
    queue, and is back at its end when it is well again. The leases are long: none of this is their doing.
    """
    with App(503) as app:
        a = bench.start("a", {"--app-health": app.url})
        b = bench.start("b")
        with Witness([a, b]) as witness:
            b.wait_leading()
            app.wait_asked()
            assert bench.stored.identities() == ["b"]
            app.status = 200
            a.wait_queued(1)
            b.post("/handover")
            token = a.wait_leading().token
            b.wait_queued(1)
            app.status = 500
            assert b.wait_leading().token > token
            bench.wait_alone("b")
            assert a.get("/readyz")[0] == 503
            app.status = 302
            a.wait_queued(1)
            assert b.is_leading()
        assert witness.contradictions() == []
        assert 'leasehold_handovers_total{cause="unhealthy",lock="tests/lock"} 1.0' in a.get("/metrics")[1]


def test_work_that_does_not_end_in_time(bench: Bench) -> None:
    """The drain time has passed: the lock goes on to the next, whatever the work does."""
    a = bench.start("a", {"--drain": "1"})
    token = a.wait_leading().token
    b = bench.start("b")
    b.wait_queued(1)
    a.post("/handover")
    a.wait_not_leading()
    assert b.wait_leading().token > token
    wait_for(lambda: bench.stored.identities() == ["b", "a"], "a to queue again", PATIENCE)


def test_second_term_changes_nothing(bench: Bench) -> None:
    """TERM comes twice from impatient hands: the drain goes on, and the end is in order."""
    a = bench.start("a", {"--drain": "600"})
    a.wait_leading()
    for _ in range(2):
        a.signal(signal.SIGTERM)
        a.wait_not_leading()
    a.signal(signal.SIGINT)
    assert bench.stored.identities() == ["a"]
    assert a.post("/drained") == 202
    assert a.wait() == 0
    assert bench.stored.entries() == []


def test_ctrl_c_ends_it_by_the_signal(bench: Bench) -> None:
    """In order, and then as a shell's script or loop has to see it."""
    a = bench.start("a", {})
    a.wait_leading()
    a.signal(signal.SIGINT)
    assert a.wait() == -signal.SIGINT
    assert bench.stored.entries() == []


_IGNORING = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"


@pytest.mark.parametrize(
    ("hook", "words"), [("true", "the on-gained hook has ended"), ("false", "failed with status 1")]
)
def test_hooks_under_a_parent_that_ignores_children(
    hook: str, words: str, etcd: EtcdServer, root: str, sidecar_factory: Callable[..., Sidecar]
) -> None:
    """An ignored SIGCHLD is inherited; with it, the kernel would forget how a hook ended."""
    command = (sys.executable, "-c", _IGNORING, sys.executable, "-m", "leasehold", "run")
    sidecar = sidecar_factory("a", etcd.url, root=root, flags=("--on-gained", hook), command=command)
    sidecar.wait_leading()
    sidecar.wait_for_log(words)
