"""Locks in a repository that several apply, that an older release changed, or whose operator is away meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.rest import path_of
from tests.operator.appliers import APPLIERS, Target, helm, manifest
from tests.operator.lock_repository import Repository
from tests.operator.operator_scene import AN_HOUR, Scene
from tests.servers import wait_for
from tests.support.sidecars import PATIENCE

OLD_MANAGER = "kubectl-leasehold"
"""The plugin's field manager in older releases."""
UNFORCED = ["`helm upgrade`", "`kubectl apply --server-side`"]
"""Who does not take fields over from others."""


def change_as(scene: Scene, manager: str, **spec: Any) -> None:
    path = path_of("locks", "db", scene.namespace, fieldManager=manager)
    scene.api.rest.call("PATCH", path, {"spec": spec}, content_type="application/merge-patch+json")


def wait_resumed(scene: Scene, manager: str) -> None:
    """Return when an event names who has resumed the Lock."""
    text = f"spec.suspend is false now, by {manager}"
    wait_for(lambda: text in [one["message"] for one in scene.api.list("events", scene.namespace)], text, PATIENCE)


@pytest.mark.parametrize("name", UNFORCED)
def test_a_manifest_may_name_suspend_after_a_resume(scene: Scene, tmp_path: Path, name: str) -> None:
    """The plugin leaves the field to others once it has its default; while it suspends, it does not."""
    one = Repository(scene, APPLIERS[name], tmp_path)
    one.plugin.ok("suspend", "db")
    with pytest.raises(RuntimeError, match="leasehold-kubectl"):
        one.sync(suspend=False)
    one.plugin.ok("resume", "db")
    one.sync(suspend=True)
    scene.wait_spec(suspend=True)
    one.sync()
    scene.wait_spec(suspend=None)


@pytest.mark.parametrize("name", ["Flux", *UNFORCED])
def test_what_an_older_plugin_asked(scene: Scene, tmp_path: Path, name: str) -> None:
    """The new one resumes what it suspended; a handover that Flux removes from the Lock stays asked."""
    one = Repository(scene, APPLIERS[name], tmp_path)
    change_as(scene, OLD_MANAGER, suspend=True)
    scene.wait_spec(suspend=True)
    one.plugin.ok("resume", "db")
    one.sync()
    token = one.leader().ask().token
    change_as(scene, OLD_MANAGER, handoverUpToToken=token)
    scene.wait_spec(handoverUpToToken=token)
    one.sync()
    assert one.leader().ask().token > token
    one.plugin.ok("handover", "db")
    one.sync()


def test_flux_undoes_what_an_older_plugin_suspended(scene: Scene, tmp_path: Path) -> None:
    """As before, but no more in silence. It takes the field over and applies a manifest that does not have it."""
    one = Repository(scene, APPLIERS["Flux"], tmp_path)
    change_as(scene, OLD_MANAGER, suspend=True)
    scene.wait_spec(suspend=True)
    one.sync()
    wait_resumed(scene, "its default: no field manager sets it any more")


def test_a_manifest_that_names_suspend(scene: Scene, tmp_path: Path) -> None:
    """The plugin says whose manifest sets it back, and the operator tells when that has happened."""
    one = Repository(scene, APPLIERS["Flux"], tmp_path)
    one.sync(suspend=False)
    done = one.plugin.run("suspend", "db")
    assert done.returncode == 0
    assert "also in the manifest that kustomize-controller applies" in done.stderr
    scene.wait_spec(suspend=True)
    one.sync(suspend=False)
    wait_resumed(scene, "kustomize-controller")


def test_two_appliers_at_once_and_a_restart(scene: Scene, tmp_path: Path) -> None:
    """Both apply while somebody suspends the Lock and the operator is killed: it stays suspended."""
    one = Repository(scene, APPLIERS["Flux"], tmp_path)
    other = APPLIERS["`kubectl apply --server-side --force-conflicts`"]
    target = Target(scene.api, scene.namespace, one.plugin.config(), tmp_path)
    with ThreadPoolExecutor() as threads:
        running = [threads.submit(one.sync) for _ in range(2)]
        running += [threads.submit(other, target, manifest(9, leaseDurationSeconds=AN_HOUR)) for _ in range(2)]
        one.plugin.ok("suspend", "db")
        scene.operator.kill()
        for each in running:
            each.result()
    one.sync()
    scene.operator.start()
    scene.wait_spec(suspend=True)
    seen = scene.wait_ready()
    assert seen["spec"]["suspend"] is True
    one.plugin.ok("resume", "db")
    one.leader()


def test_helm_takes_a_suspended_lock_over(scene: Scene, tmp_path: Path) -> None:
    """One that kubectl applied: it stays suspended."""
    one = Repository(scene, APPLIERS["`kubectl apply`"], tmp_path)
    one.plugin.ok("suspend", "db")
    target = Target(scene.api, scene.namespace, one.plugin.config(), tmp_path)
    for number in (7, 8):
        helm("--take-ownership", "--force-conflicts")(target, manifest(number, leaseDurationSeconds=AN_HOUR))
    assert scene.wait_ready()["spec"]["suspend"] is True
