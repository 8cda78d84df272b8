"""What an operator asks for in a whole life, by the API server's audit log: all it may, and no more than it may."""

from collections.abc import Callable
from functools import partial

import pytest

from tests.cluster import ControlPlane
from tests.operator.conftest import operator_user
from tests.operator.operator_manifest import OPERATOR_NAMESPACE, documents
from tests.operator.operator_process import Operator
from tests.operator.operator_scene import Scene
from tests.servers import EtcdServer, wait_for
from tests.support.rbac import check_rights
from tests.support.sidecars import PATIENCE, Sidecar
from tests.support.stored_lock import stored_lock


@pytest.fixture
def audited(control_plane_factory: Callable[..., ControlPlane]) -> ControlPlane:
    return control_plane_factory(audit=True)


def test_rights_are_used_and_enough(
    audited: ControlPlane,
    etcd: EtcdServer,
    root: str,
    operator_factory: Callable[..., Operator],
    sidecar_factory: Callable[..., Sidecar],
) -> None:
    """Every right of the manifest is used, and none is missing."""
    user = operator_user(audited)
    known = len(audited.audited(user))  # what was tried in the operator's name while its rights came into force
    namespace = audited.make_namespace()

    stored = partial(stored_lock, etcd.ctl, root, namespace)
    live(Scene(audited, namespace, operator_factory(control_plane=audited), stored, sidecar_factory))
    subjects = [subject for one in documents() for subject in one.get("subjects", ())]
    assert {(subject["kind"], subject["namespace"]) for subject in subjects} == {("ServiceAccount", OPERATOR_NAMESPACE)}
    check_rights(documents(), audited.audited(user)[known:])


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
