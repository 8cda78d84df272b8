"""Seven ways to break a lock on a cluster: its status and `kubectl leasehold check` name each, and say what cures it.

One operator on one etcd, one breakage after the other: each leaves all as it was.
"""

from __future__ import annotations

import json
from functools import partial

from leasehold.lock.kube_names import INJECT_LABEL, PREFIX
from leasehold.lock.spec import Spec
from tests.cluster.objects import Object
from tests.cluster.rest import path_of
from tests.operator.kubectl_plugin import Plugin
from tests.operator.operator_on_own_etcd import OwnEtcd
from tests.operator.operator_scene import downward
from tests.operator.policies_off import policy_off
from tests.operator.test_absent import absent, at_loopback, naming_pod
from tests.servers import reserve_port, wait_for
from tests.support.breakages import Act, Breakage, Row, ways
from tests.support.run_bench import App
from tests.support.sidecars import PATIENCE


class Place:
    """The scene, and what `kubectl leasehold check NAME` says there."""

    def __init__(self, own: OwnEtcd, plugin: Plugin) -> None:
        self.own = own
        self.plugin = plugin
        self.lock = "db"

    def row(self, check: str) -> Row | None:
        """The row of that check, unless all is well."""
        done = self.plugin.run("check", self.lock, "-o", "json")
        rows: list[Row] = json.loads(done.stdout)["rows"]
        return next((one for one in rows if one["check"] == check and one["level"] != "ok"), None)

    def wait_said(self, reason: str) -> None:
        """Return when the status gives this reason: a condition's, or that of a pod which is missing."""
        self.own.wait(lambda seen: reason in reasons(seen), reason, self.lock)


def reasons(seen: Object) -> set[str]:
    """Every reason that the status gives."""
    conditions = {one["reason"] for one in seen.get("status", {}).get("conditions", [])}
    return conditions | set(absent(seen).values())


BREAKAGES: list[Breakage[Place]] = []
broken = partial(ways, BREAKAGES)


@broken("lock-suspended", "Suspended", "kubectl leasehold resume NAME")
def lock_is_suspended(place: Place) -> Act:
    place.own.change(suspend=True)
    row = yield
    command = str(row["cure"]).split(",")[0].replace("NAME", place.lock).split()
    place.plugin.ok(*command[2:])


@broken("lock-degraded", "TokenAhead", "lower spec.handoverUpToToken")
def token_is_mistyped(place: Place) -> Act:
    place.own.change(handoverUpToToken=10**9)
    yield
    place.own.change(handoverUpToToken=0)


@broken("lock-degraded", "ForeignHolder", "stop the candidate")
def stranger_holds(place: Place) -> Act:
    stored = place.own.stored("db")
    lease = stored.stranger("somebody")
    yield
    stored.ctl.run("lease", "revoke", f"{lease:x}")


@broken("lock-ready", "KeyCollision", "delete the other's declaration")
def another_cluster_declares_it(place: Place) -> Act:
    place.lock = "twin"
    stored = place.own.stored("twin")
    stored.write_spec(Spec(ttl=15, uid="theirs", cluster="another").encode().decode())
    place.plugin.make("twin")
    yield
    stored.ctl.run("del", stored.keys.spec)
    place.own.wait_ready("twin")
    place.lock = "db"


@broken("lock-degraded", "NoCandidate", "see the reasons of its pods")
def app_is_unhealthy(place: Place) -> Act:
    port, own = reserve_port(), place.own
    with App(500) as app:
        pod = naming_pod(own, "db-0", port, **at_loopback())
        flags = ["--listen", f"127.0.0.1:{port}", "--app-health", app.url]
        sidecar = own._start_sidecar("db-0", lock=f"{own.namespace}/db", ttl=None, env=downward(pod), flags=flags)
        yield
        app.status = 200
        sidecar.wait_leading()
        yield
        sidecar.terminate()
    own.api.delete("pods", "db-0", own.namespace)


@broken("pod-unprotected", "no-sidecar", "delete the pod")
def pod_has_no_sidecar(place: Place) -> Act:
    """It was admitted before Leasehold's policies were there."""
    own = place.own
    asking = {"labels": {INJECT_LABEL: "true"}, "annotations": {f"{PREFIX}lock": "db"}}
    body = {"metadata": {"name": "bare", **asking}, "spec": {"containers": [{"name": "app", "image": "none"}]}}

    def make(**query: str) -> object:
        return own.api.rest.call("POST", path_of("pods", namespace=own.namespace, **query), body)

    with policy_off(own.api, make):
        make()
    yield
    own.api.delete("pods", "bare", own.namespace)


@broken("lock-ready", "EtcdUnreachable", "see etcd's members")
def etcd_is_away(place: Place) -> Act:
    place.own.etcd.kill()
    yield
    place.own.etcd.start()
    place.own.wait_back()


def test_found_named_and_cured(own: OwnEtcd, plugin: Plugin) -> None:
    """The status gives the reason, `check` has the row; after the cure both are gone."""
    place = Place(own, plugin)
    own.declare()
    for breakage in BREAKAGES:
        find_and_cure(breakage, place)


def find_and_cure(breakage: Breakage[Place], place: Place) -> None:
    steps, what = breakage.act(place), breakage.act.__name__
    next(steps)
    place.wait_said(breakage.reason)
    row = place.row(breakage.check)
    assert row is not None, f"{what}: check does not say {breakage.check}"
    breakage.cured(steps, row)
    place.own.wait(lambda seen: breakage.reason not in reasons(seen), f"{what} cured", place.lock)
    wait_for(lambda: place.row(breakage.check) is None, f"{what}: no row {breakage.check} any more", PATIENCE)
    for _ in steps:
        pass
