"""What an operator asks for in a whole life, by the API server's audit log: all it may, and no more than it may."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cluster import ControlPlane
from tests.cluster.objects import Object
from tests.operator.conftest import operator_user
from tests.operator.installed import OPERATOR_NAMESPACE, documents
from tests.operator.operators import Operator
from tests.operator.scene import Scene
from tests.servers import EtcdServer, wait_for
from tests.sidecars import PATIENCE, Sidecar
from tests.stored_lock import StoredLock

Right = tuple[str, str, str, str, str]
"""Namespace ("" for all), API group, resource, object name ("" for any), verb."""


@pytest.fixture
def audited(control_plane_factory: Callable[..., ControlPlane]) -> ControlPlane:
    return control_plane_factory(audit=True)


def test_every_right_is_used_and_none_is_missing(
    audited: ControlPlane,
    etcd: EtcdServer,
    root: str,
    operator_factory: Callable[..., Operator],
    sidecar_factory: Callable[..., Sidecar],
) -> None:
    user = operator_user(audited)
    known = len(audited.audited(user))  # what was tried in the operator's name while its rights came into force
    namespace = audited.make_namespace()

    def stored(name: str) -> StoredLock:
        return StoredLock(etcd.ctl, root, f"{namespace}/{name}")

    live(Scene(audited, namespace, operator_factory(control_plane=audited), stored, sidecar_factory))
    asked = [one for one in audited.audited(user)[known:] if "objectRef" in one and not _is_discovery(one)]
    refused = [one for one in asked if one.get("responseStatus", {}).get("code") in (401, 403)]
    assert refused == []
    used = {_used(one) for one in asked}
    rights = set(granted())
    assert {one for one in used if not any(_covers(right, one) for right in rights)} == set()
    assert {right for right in rights if not any(_covers(right, one) for one in used)} == set()


def live(scene: Scene) -> None:
    """Everything that an operator does: its start, a Lock from its creation to its deletion, a restart."""
    operator = scene.operator
    operator.wait_active()
    scene.declare(podLabel=True)
    scene.sidecar("web-0", pod=scene.pod("web-0")).wait_leading()
    scene.wait_held("web-0")
    scene.wait_labelled(web_0="db")
    scene.end_pod("web-0")
    scene.wait(lambda seen: not seen["status"].get("holderCount"), "vacant")
    wait_for(lambda: "LockAcquired" in {reason for reason, _ in scene.told()}, "an event", PATIENCE)
    assert operator.terminate() == 0
    operator.start()
    operator.wait_active()
    wait_for(lambda: operator.metric("api_writes_total", kind="canary") > 0, "the canary", PATIENCE)
    scene.api.delete("locks", "db", scene.namespace)
    scene.api.wait_gone("locks", "db", scene.namespace)
    assert operator.terminate() == 0


def granted() -> Iterator[Right]:
    """The rights of the manifest: what its roles allow to its service account."""
    bindings = [one for one in documents() if one["kind"] in ("ClusterRoleBinding", "RoleBinding")]
    roles = {(one["kind"], one["metadata"]["name"]): one for one in documents() if one["kind"].endswith("Role")}
    assert {(subject["kind"], subject["namespace"]) for one in bindings for subject in one["subjects"]} == {
        ("ServiceAccount", OPERATOR_NAMESPACE)
    }
    for binding in bindings:
        role = roles[binding["roleRef"]["kind"], binding["roleRef"]["name"]]
        for rule in role["rules"]:
            yield from _rights(binding["metadata"].get("namespace", ""), rule)


def _rights(namespace: str, rule: dict[str, Any]) -> Iterator[Right]:
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            for name in rule.get("resourceNames", [""]):
                for verb in rule["verbs"]:
                    yield namespace, group, resource, name, verb


def _used(event: Object) -> Right:
    target = event["objectRef"]
    resource = "/".join(filter(None, (target["resource"], target.get("subresource"))))
    group = target.get("apiGroup", "")
    return target.get("namespace", ""), group, resource, target.get("name", ""), event["verb"]


def _covers(right: Right, used: Right) -> bool:
    namespace, group, resource, name, verb = right
    return (group, resource, verb) == used[1:3] + used[4:] and namespace in ("", used[0]) and name in ("", used[3])


def _is_discovery(event: Object) -> bool:
    """Which resources there are, everybody may ask."""
    return "resource" not in event["objectRef"]
