"""etcd goes away under a running operator: the Locks say so, no process ends, and all of it heals by itself."""

import time
from collections.abc import Callable

from tests.operator.lock_objects import condition, declared, is_held, is_ready, lock
from tests.operator.operator_on_own_etcd import OwnEtcd
from tests.operator.operator_process import Operator
from tests.servers import wait_for
from tests.support.sidecars import PATIENCE

OUTAGE = 120.0
"""Seconds."""


def versions(own: OwnEtcd) -> dict[str, str]:
    """Which version of each Lock there is: another one after any write at all."""
    return {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in own.api.list("locks", own.namespace)}


def test_two_minutes_without_etcd(own: OwnEtcd, operator_factory: Callable[..., Operator]) -> None:
    """All in one outage: what the statuses say, what goes on, what can be changed and deleted, and how it heals.

    Held over a long lease and over a short one, changed, created, deleted, and deleted with the way out that the
    condition names.
    """
    first, second = own.operator, operator_factory("second", own.etcd.url)
    wait_for(second.is_ready, "the second operator to be ready", PATIENCE)
    before = {name: own.declare(name) for name in ("long", "changed", "going", "forced")}
    own.declare("short", leaseDurationSeconds=5)
    long, short = own.sidecar("long-0", "long"), own.sidecar("short-0", "short")
    token = long.wait_leading().token
    for name in ("long", "short"):
        own.wait_held(f"{name}-0", name=name)

    own.etcd.kill()
    began = time.monotonic()
    for name in ("short", "changed", "long"):
        own.wait_away(name)
        own.wait_event("EtcdUnavailable", name)
    assert own.wait_away("long")["status"]["fencingToken"] == token  # what was so is left standing
    change_meanwhile(own)
    short.wait_not_leading()
    wait_for(lambda: first.is_idle() and second.is_idle(), "the operators to have said all", PATIENCE)
    said = versions(own)

    wait_for(lambda: time.monotonic() > began + OUTAGE, "two minutes to pass", OUTAGE + 60)
    assert versions(own) == said  # nothing is said twice, and the two do not contradict each other
    for one in (first, second):
        wait_for(one.is_live, f"{one.name} to be alive", PATIENCE)
    assert long.ask().token == token
    assert long.is_leading()
    assert own.told("long")["EtcdUnavailable", 0] <= 2  # one of each replica at most

    own.etcd.start()
    for name in ("long", "short", "changed", "new"):
        own.wait_back(name)
    own.wait(lambda seen: is_ready(seen) and is_held(seen), "held", "short")
    short.wait_leading()
    assert own.wait_held("long-0", name="long")["status"]["fencingToken"] == long.ask().token == token
    changed_as_declared(own, before["changed"]["metadata"]["uid"])
    assert (first.errors(), second.errors()) == (0, 0)


def change_meanwhile(own: OwnEtcd) -> None:
    """While etcd is away: a Lock is changed, one created, one deleted, and one deleted by the way out that it names."""
    own.api.apply(lock("changed", leaseDurationSeconds=9), namespace=own.namespace)
    own.api.apply(lock("new", leaseDurationSeconds=9), namespace=own.namespace)
    own.wait_away("new")
    for name in ("going", "forced"):
        own.api.delete("locks", name, own.namespace)
        seen = own.wait(lambda now: "force-delete" in condition(now, "Ready")["message"], "shown the way out", name)
        assert condition(seen, "Ready")["status"] == "False"
    own.api.kubectl("annotate", "lock", "forced", "leasehold.dev/force-delete=true", f"--namespace={own.namespace}")
    own.api.wait_gone("locks", "forced", own.namespace)


def changed_as_declared(own: OwnEtcd, uid: str) -> None:
    """What was asked for meanwhile has come about in etcd; `uid` is that of the Lock that was changed."""
    assert [declared(own.stored(name))["leaseDurationSeconds"] for name in ("changed", "new")] == [9, 9]
    assert declared(own.stored("changed"))["uid"] == uid
    own.api.wait_gone("locks", "going", own.namespace)
    for name in ("going", "forced"):
        wait_for(lambda: declared(own.stored(name)) == {}, f"what {name} left to be swept", PATIENCE)  # noqa: B023  # it is called before the next one's turn


def test_frozen_etcd_is_noticed(own: OwnEtcd) -> None:
    """Its connections stand and are silent: that must be as clear as an etcd that is gone."""
    own.declare()
    sidecar = own.sidecar("a")
    token = sidecar.wait_leading().token
    own.wait_held("a")
    own.etcd.pause()
    own.wait_away()
    own.change(leaseDurationSeconds=99)
    assert own.operator.is_live()
    assert sidecar.ask().token == token
    own.etcd.resume()
    own.wait_back()
    own.wait_spec(leaseDurationSeconds=99)
    assert own.wait_held("a")["status"]["fencingToken"] == token
    assert own.operator.errors() == 0


def test_compaction_under_a_lagging_watch(own: OwnEtcd) -> None:
    """The operator stands still while more happens than the connection holds, and then that history is gone."""
    own.declare()
    own.declare("other")
    good = declared(own.stored("db"))
    own.operator.pause()
    own.put(*[(f"{own.root}/ballast", bytes(1_000_000))] * 16)  # what the connection holds
    own.age(300)  # what etcd keeps ready for the watch
    own.stored("db").declare(**{**good, "leaseDurationSeconds": 11})
    own.stored("other").stranger("somebody")
    own.age(1)
    own.etcd.ctl.compact()
    own.operator.resume()
    own.wait_spec(leaseDurationSeconds=good["leaseDurationSeconds"])
    own.wait_held("somebody", name="other")
    own.wait_ready()
    own.operator.wait_for_log("are read again")  # by the watch's end: what it had to tell was not all told
    assert own.operator.errors() == 0
