"""The informer against a real API server: what it brings, and what it outlives."""

import asyncio
import getpass
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from leasehold.operator.watch.informer import Informer
from leasehold.operator.watch.kopf_watch import ObjectEvent
from leasehold.operator.watch.pods import Pods
from leasehold.operator.watch.transform import Kind
from tests.cluster import ControlPlane
from tests.operator.lock_objects import lock
from tests.servers import PATIENCE, reserve_port
from tests.unit.operator.bodies import entry

Body = dict[str, Any]


class Sightings:
    """What an informer brought: the last of each object, by kind and name."""

    def __init__(self) -> None:
        self.bodies: dict[tuple[Kind, str], Body] = {}
        self.deleted: set[tuple[Kind, str]] = set()

    def __call__(self, batch: Sequence[ObjectEvent]) -> None:
        for seen in batch:
            key = (seen.kind, seen.body["metadata"]["name"])
            self.bodies[key] = seen.body
            (self.deleted.add if seen.deleted else self.deleted.discard)(key)

    def pods(self) -> Pods:
        """An index of what was seen."""
        pods = Pods()
        for (kind, name), body in self.bodies.items():
            pods.apply(kind, body, (kind, name) in self.deleted)
        return pods

    async def until(self, reached: Callable[[], bool], what: str, timeout: float = PATIENCE) -> None:
        deadline = asyncio.get_running_loop().time() + timeout
        while not reached():
            assert asyncio.get_running_loop().time() < deadline, f"not reached: {what}"
            await asyncio.sleep(0.02)

    async def present(self, kind: Kind, name: str, timeout: float = PATIENCE) -> Body:
        await self.until(lambda: (kind, name) in self.bodies, f"{kind} {name} is seen", timeout)
        return self.bodies[kind, name]


@asynccontextmanager
async def watching(config: Path) -> AsyncIterator[tuple[Informer, Sightings]]:
    sightings = Sightings()
    informer = Informer(config, sightings)
    informer.start()
    try:
        yield informer, sightings
    finally:
        await informer.stop()
    assert informer.exited.done(), "the thread has ended in time"


async def test_runs_as_a_nameless_user(api: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container, whose user is a number that no file there knows: kopf asked for its name, and ended."""

    def unknown() -> str:
        raise OSError("No username set in the environment")

    monkeypatch.setattr(getpass, "getuser", unknown)
    async with watching(api.kubeconfig()) as (informer, sightings):
        api.apply(lock("nameless"), namespace=namespace)
        await sightings.present("Lock", "nameless")
        assert informer.restarts == 0


def deployment(name: str, image: str) -> Body:
    labels = {"app": name}
    return workload("Deployment", name, image, {"replicas": 1, "selector": {"matchLabels": labels}})


def workload(kind: str, name: str, image: str, spec: Body) -> Body:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "app", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template, **spec},
    }


async def test_objects_and_changes_are_brought(api: ControlPlane, namespace: str) -> None:
    """What is there is brought at the start, and then each change of it."""
    api.create("locks", lock("before"), namespace)
    async with watching(api.kubeconfig()) as (informer, seen):
        assert (await seen.present("Lock", "before"))["spec"]["capacity"] == 1
        api.create("locks", lock("after"), namespace)
        await seen.present("Lock", "after")
        api.patch("locks", "after", {"spec": {"capacity": 3}}, namespace)
        await seen.until(lambda: seen.bodies["Lock", "after"]["spec"]["capacity"] == 3, "the change is seen")
        api.delete("locks", "after", namespace)
        await seen.until(lambda: ("Lock", "after") in seen.deleted, "the deletion is seen")
        (manager,) = seen.bodies["Lock", "before"]["metadata"]["managedFields"]
        assert (manager.keys(), manager["fieldsV1"].keys()) == ({"manager", "time", "fieldsV1"}, {"f:spec"}), "trimmed"
        assert (informer.restarts, informer.exited.done()) == (0, False)
    assert informer.exited.result() is None


async def test_group_of_a_real_deployment(api: ControlPlane, namespace: str) -> None:
    """The group of the newest revision is known, through a rollout and an undo.

    The controllers' own objects: what `pods` reads from them is what they write.
    """

    def hash_of(image: str) -> str:
        sets = api.list("replicasets", namespace)
        found = [s for s in sets if s["spec"]["template"]["spec"]["containers"][0]["image"] == image]
        return str(found[0]["metadata"]["labels"]["pod-template-hash"]) if found else ""

    def preferred() -> str:
        pods = [body for (kind, _), body in seen.bodies.items() if kind == "Pod"]
        return seen.pods().preferred_group([entry(body) for body in pods if in_namespace(body)])

    def in_namespace(body: Body) -> bool:
        return bool(body["metadata"]["namespace"] == namespace)

    async with watching(api.kubeconfig()) as (_, seen):
        for image in ("first", "second", "first"):
            api.apply(deployment("app", image), namespace=namespace)
            await seen.until(lambda i=image: preferred() == hash_of(i) != "", f"{image} is preferred")  # type: ignore[misc]  # no type for a lambda's default


async def test_group_of_a_real_statefulset(api: ControlPlane, namespace: str) -> None:
    """The update revision of a StatefulSet is the preferred group."""

    def preferred() -> str:
        pod = seen.bodies.get(("Pod", "web-0"))
        return seen.pods().preferred_group([entry(pod)]) if pod else ""

    async with watching(api.kubeconfig()) as (_, seen):
        for image in ("first", "second"):
            api.apply(workload("StatefulSet", "web", image, {"serviceName": "web"}), namespace=namespace)
            revision = api.wait(
                "statefulsets",
                "web",
                namespace,
                until=lambda s: s.get("status", {}).get("observedGeneration") == s["metadata"]["generation"],
            )["status"]["updateRevision"]
            await seen.until(lambda r=revision: preferred() == r, f"{revision} is preferred")  # type: ignore[misc]  # no type for a lambda's default


async def test_outlives_server_and_credentials(
    control_plane_factory: Callable[..., ControlPlane], tmp_path: Path
) -> None:
    """It waits for the CRD, and outlives a dead API server.

    One that starts refuses much at first; its watches are gone, and so may be the token.
    """
    api = control_plane_factory(crd=False, controllers=False)
    token = tmp_path / "token"
    token.write_text("not a token")
    config = tmp_path / "config"
    fields = json.loads(api.kubeconfig().read_text())
    fields["users"][0]["user"] = {"tokenFile": str(token)}
    config.write_text(json.dumps(fields))
    async with watching(config) as (informer, seen):
        token.write_text(api.token(account(api, "first")))
        api.install_crd()
        api.create("locks", lock("early"), "default")
        await seen.present("Lock", "early")
        api.delete("serviceaccounts", "first", "default")
        api.compact()  # so that the watches cannot go on where they were: 410
        api.apiserver.kill()
        api.apiserver.start()
        token.write_text(api.token(account(api, "second")))
        api.create("locks", lock("late"), "default")
        await seen.present("Lock", "late", timeout=2 * PATIENCE)
        assert not informer.exited.done()


def account(api: ControlPlane, name: str) -> str:
    """A service account that may read everything."""
    subject = {"kind": "ServiceAccount", "name": name, "namespace": "default"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name}}
    api.apply({**binding, "roleRef": role, "subjects": [subject]})
    return api.service_account(name, "default")


async def test_stops_without_an_api_server(api: ControlPlane) -> None:
    """It can be stopped while no API server answers."""
    async with watching(api.kubeconfig(server=f"https://127.0.0.1:{reserve_port()}")) as (informer, seen):
        await asyncio.sleep(0)
        assert not informer.exited.done()
    assert informer.exited.result() is None
    assert not seen.bodies
