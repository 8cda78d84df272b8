"""`GET /metrics` of a real sidecar: what a Prometheus server would scrape, held against what has happened."""

from collections.abc import Callable

from prometheus_client.parser import text_string_to_metric_families

from tests.servers import EtcdServer, wait_for
from tests.support.http_asker import ask
from tests.support.sidecars import LOCK, PATIENCE, Sidecar
from tests.support.stored_lock import StoredLock

Factory = Callable[..., Sidecar]
Samples = dict[tuple[str, str], float]
"""By the sample's name, and the value of its other label than `lock`, if it has one."""


def scrape(sidecar: Sidecar) -> Samples:
    """Every sample of ours; each must be about this lock."""
    reply = ask("GET", sidecar.url + "/metrics")
    assert (reply.status, reply.headers["content-type"].partition(";")[0]) == (200, "text/plain")
    found: Samples = {}
    for family in text_string_to_metric_families(reply.body):
        assert family.documentation, f"{family.name} has no help text"
        for sample in family.samples:
            if sample.name.startswith("leasehold_") and sample.name != "leasehold_build_info":
                labels = dict(sample.labels)
                assert labels.pop("lock") == LOCK
                found[sample.name, next(iter(labels.values()), "")] = sample.value
    return found


def states(samples: Samples) -> list[str]:
    return [state for (name, state), value in samples.items() if name == "leasehold_state" and value == 1]


def test_metrics_of_holder_and_waiter(sidecar_factory: Factory) -> None:
    """Each says its own state, and both the same lock."""
    a = sidecar_factory("a", ttl=600)
    token = a.wait_leading().token
    b = sidecar_factory("b", ttl=600)
    b.wait_queued(1)
    holder, waiter = scrape(a), scrape(b)
    assert [one["leasehold_holding", ""] for one in (holder, waiter)] == [1, 0]
    assert [one["leasehold_token", ""] for one in (holder, waiter)] == [token, 0]
    assert [one["leasehold_position", ""] for one in (holder, waiter)] == [0, 1]
    assert [one["leasehold_terms_total", ""] for one in (holder, waiter)] == [1, 0]
    assert (states(holder), states(waiter)) == (["holding"], ["waiting"])
    assert 0 < holder["leasehold_lease_remaining_seconds", ""] <= 600
    assert waiter["leasehold_lease_remaining_seconds", ""] == 0


def test_metrics_count_what_happens(sidecar_factory: Factory, stored: StoredLock) -> None:
    """A term ended on request, one by a spec, one by a stranger who deleted the key; each counted once, under it."""
    a = sidecar_factory("a", ttl=600)
    tokens = [a.wait_leading().token]

    def next_term() -> None:
        wait_for(lambda: a.is_leading() and a.ask().token > tokens[-1], "the next term", PATIENCE)
        tokens.append(a.ask().token)

    before = scrape(a)
    assert all(value == 0 for (name, _), value in before.items() if name == "leasehold_handovers_total")
    a.post("/handover")
    next_term()
    stored.declare(handoverUpToToken=tokens[-1])
    next_term()
    stored.ctl.delete(stored.entries()[0].key)
    next_term()
    after = scrape(a)
    assert after["leasehold_terms_total", ""] == 4
    causes = {cause: value for (name, cause), value in after.items() if name == "leasehold_handovers_total" and value}
    assert causes == {"request": 1, "token": 1}
    assert after["leasehold_errors_total", "lost"] == 1
    assert after["leasehold_token", ""] == tokens[-1]


def test_metrics_of_the_lease(etcd_factory: Callable[..., EtcdServer], sidecar_factory: Factory) -> None:
    """Keep-alives are timed; without etcd the lease runs down to nothing, and the failures are counted."""
    server = etcd_factory()
    a = sidecar_factory("a", server.url, ttl=3)
    a.wait_leading()
    wait_for(lambda: scrape(a)["leasehold_keep_alive_duration_seconds_count", ""] >= 2, "keep-alives", PATIENCE)
    samples = scrape(a)
    assert samples["leasehold_keep_alive_duration_seconds_bucket", "+Inf"] >= 2
    assert samples["leasehold_keep_alive_duration_seconds_sum", ""] > 0
    server.kill()
    before = scrape(a)["leasehold_errors_total", "unsure"]  # a busy machine may have run it out already
    wait_for(lambda: states(scrape(a)) == ["unsure"], "the lease to run out", PATIENCE)
    samples = scrape(a)
    assert samples["leasehold_holding", ""] == samples["leasehold_lease_remaining_seconds", ""] == 0
    assert samples["leasehold_errors_total", "request"] >= 1
    assert samples["leasehold_errors_total", "unsure"] == before + 1
