"""From a release whose sidecars share one certificate: its own programs first, then today's; every leader stays."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from tests.cluster import ControlPlane
from tests.operator import earlier_release
from tests.operator.enrolled import ROOT, Enrolled, tls_flags
from tests.operator.operator_process import Operator
from tests.servers import PATIENCE, Certificate, CertificateAuthority, EtcdCluster, wait_for
from tests.support.exclusion_checker import Said, Witness, contradictions
from tests.support.sidecars import Sidecar

SHARED = "leasehold"


class Upgrade:
    """Two namespaces, each with a leader and a candidate of the earlier release, who all share one certificate.

    Everybody is asked all the time.
    """

    def __init__(self, enrolled: Enrolled, namespaces: list[str], env: dict[str, str]) -> None:
        self.enrolled = enrolled
        self.namespaces = namespaces
        self.env = env
        self.shared = enrolled.certs.client(SHARED)
        self.pods: dict[str, list[Sidecar]] = {each: [] for each in namespaces}
        self._witnesses: dict[str, list[Witness]] = {each: [] for each in namespaces}
        self._stack = contextlib.ExitStack()

    def begin(self) -> None:
        """Have the pods of the earlier release in their queues."""
        for each in self.namespaces:
            self.enrolled.copy(self.shared, each)
            for number in range(2):
                self._add(each, f"old-{number}", command=earlier_release.command("run"), env=self.env)

    def _add(self, namespace: str, name: str, **options: Any) -> None:
        place = self.enrolled.directory / namespace
        files = Certificate(place / "ca.crt", place / "tls.crt", place / "tls.key")
        pod = self.enrolled.sidecar(name, namespace, files, **options)
        self.pods[namespace].append(pod)
        self._witnesses[namespace].append(self._stack.enter_context(Witness([pod])))
        wait_for(lambda: pod.ask().leading or pod.ask().fields["position"] is not None, f"{name} to queue", PATIENCE)

    def replace_pods(self, namespace: str) -> None:
        """A rollout: one pod after the other goes, and one with today's sidecar comes, which finds the new files."""
        old, self.pods[namespace] = self.pods[namespace], []
        for number, pod in enumerate(old):
            pod.terminate()
            self._add(namespace, f"new-{number}")

    def said(self, namespace: str) -> list[Said]:
        """Every 200 of anybody in that namespace."""
        return [said for witness in self._witnesses[namespace] for said in witness.said]

    def tokens(self, namespace: str) -> set[int]:
        """Of all terms in which somebody has said that it leads."""
        return {said.answer.token for said in self.said(namespace)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


@pytest.fixture
def upgrade(
    api: ControlPlane,
    certs: CertificateAuthority,
    cluster_factory: Callable[..., EtcdCluster],
    enrol: Callable[..., Enrolled],
    tmp_path: Path,
) -> Iterator[Upgrade]:
    """The earlier release at work, on three members that ask for certificates and know no users."""
    env = earlier_release.check_out(tmp_path / "earlier")
    enrolled = enrol(cluster_factory(authority=certs, mutual=True))
    namespaces = [api.make_namespace() for _ in range(2)]
    yield Upgrade(enrolled, namespaces, env)
    for each in namespaces:
        api.remove_namespace(each)


def test_every_leader_stays(upgrade: Upgrade, operator_factory: Callable[..., Operator]) -> None:
    """While etcd's members restart one by one, authentication comes, and the shared user goes at last."""
    enrolled, (first, second) = upgrade.enrolled, upgrade.namespaces
    run = {"command": earlier_release.command("operator"), "env": upgrade.env, "flags": tls_flags(upgrade.shared)}
    old = operator_factory("old", enrolled.etcd.endpoints, root=ROOT, **run)
    old.wait_active()
    for each in upgrade.namespaces:
        enrolled.declare(each)
    with upgrade:
        upgrade.begin()
        operator = enrolled.join("--enrol-days=365", name="new")
        restart_members(enrolled)
        old.terminate()
        operator.wait_active()
        assert both_named(upgrade, enrolled.wait_reason("SharedCertificateInUse"))
        for each in upgrade.namespaces:
            enrolled.files(each)  # a kubelet's; the earlier sidecar shows them at its next connection
        restart_members(enrolled)
        enrolled.wait_looked(operator)
        assert both_named(upgrade, enrolled.wait_reason("SharedCertificateInUse")), "no record says who they come as"
        assert [len(upgrade.tokens(each)) for each in upgrade.namespaces] == [1, 1]
        upgrade.replace_pods(first)
        wait_for(lambda: first not in enrolled.isolated()["message"], "the first to be done", PATIENCE)
        assert SHARED in enrolled.users()
        upgrade.replace_pods(second)
        enrolled.wait_reason("Isolated")
        assert SHARED not in enrolled.users()
        terms = {each: leaders(upgrade, each) for each in upgrade.namespaces}
        enrolled.wait_looked(operator)
        assert {each: leaders(upgrade, each) for each in upgrade.namespaces} == terms
        assert all(len(each) == 1 for each in terms.values())
    for each in upgrade.namespaces:
        assert contradictions(upgrade.said(each)) == []
        assert len(upgrade.tokens(each)) == 3, "the first, and one for each handover of the rollout"


def restart_members(enrolled: Enrolled) -> None:
    """One after the other, as a StatefulSet does it."""
    assert isinstance(enrolled.etcd, EtcdCluster)
    for member in enrolled.etcd.members:
        member.restart()


def both_named(upgrade: Upgrade, message: str) -> bool:
    return all(each in message for each in upgrade.namespaces)


def leaders(upgrade: Upgrade, namespace: str) -> list[int]:
    """The tokens of those who lead just now."""
    return [answer.token for answer in (pod.ask() for pod in upgrade.pods[namespace]) if answer.leading]
