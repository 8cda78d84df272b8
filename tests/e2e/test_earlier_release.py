"""From the last release whose sidecars shared one certificate, by `helm upgrade` on a real node: every leader stays."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from leasehold import __version__
from tests.cluster import Cluster, HelmFailed, images, why_unavailable
from tests.cluster.helm import build_dependencies
from tests.cluster.node import PATIENCE
from tests.e2e.injected import declare, template, workload
from tests.e2e.installation import CHARTS, CLIENT, Installation, common_name
from tests.e2e.witness import PodWitness
from tests.e2e.workload import Workload
from tests.image import build_image
from tests.image.build import CONTEXT
from tests.operator import earlier_release
from tests.servers import wait_for

NAME: Final = "leasehold-operator:earlier"
"""The earlier release's one image here; it holds the sidecar, too."""
REPOSITORY, TAG = NAME.split(":")
TTL: Final = 30
"""Longer than etcd's only member is away while it is replaced."""
IMAGES: Final = {"image.tag": TAG, "sidecar.image.repository": REPOSITORY, "sidecar.image.tag": TAG}
EARLIER: Final[dict[str, Any]] = {"leasehold.image.repository": REPOSITORY, "leasehold.image.tag": TAG}
TODAY: Final[dict[str, Any]] = {"leasehold.image.repository": "leasehold", "leasehold.image.tag": __version__}


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """That release's checkout."""
    earlier_release.check_out(tmp_path, "charts", *(part for part in CONTEXT if part != "sidecar"))
    build_dependencies(tmp_path / "charts" / "singleton")
    return tmp_path


@pytest.fixture
def old(earlier: Path) -> Iterator[Cluster]:
    """A node that has the images of both releases."""
    if reason := why_unavailable():
        pytest.skip(f"{reason} Not tested: the upgrade from an earlier release on a node.")
    image = build_image("operator", earlier)
    made = Cluster(1, name="earlier")
    with contextlib.closing(made):
        made.start()
        images.load_all(made)
        made.load(images.saved(image), image.name, images.DOCKER + NAME)
        build_dependencies(CHARTS / "singleton")
        yield made


def test_every_leader_stays(old: Cluster, earlier: Path) -> None:
    """One pod by the singleton chart and one injected keep their terms until their own rollouts, in two namespaces."""
    charted, injected = old.make_namespace(), old.make_namespace()
    installation = Installation(old)
    installation.charts = earlier / "charts"
    installation.install(**{"etcd.enabled": True, "sidecar.namespaces": [charted, injected], **IMAGES})
    one = Workload(old, charted)
    one.charts = installation.charts
    one.install(None, **EARLIER, **{"lock.leaseDurationSeconds": TTL})
    apply_injected(old, injected)
    with PodWitness(old, charted, one.labels) as first, PodWitness(old, injected, "app=reports") as second:
        witnesses = {charted: first, injected: second}
        tokens = {own: witness.wait_leader().answer.token for own, witness in witnesses.items()}
        installation.charts = one.charts = CHARTS
        with pytest.raises(HelmFailed, match=r"sidecar\.namespaces is not needed any more"):
            installation.upgrade()
        installation.upgrade("--reset-values")
        wait_for(lambda: installation.isolation().get("reason") == "SharedCertificateInUse", "users", PATIENCE)
        assert all(own in installation.isolation()["message"] for own in tokens)
        for own, witness in witnesses.items():
            assert name_in_secret(old, own) == f"leasehold:ns/{own}"
            witness.wait_leader()
            assert witness.tokens() == [tokens[own]]
        one.upgrade(None, **TODAY)
        old.kubectl("-n", injected, "rollout", "restart", "deployment/reports")
        for own, witness in witnesses.items():
            witness.wait_above(tokens[own])
            assert len(witness.tokens()) == 2
        wait_for(lambda: "nobody uses the certificate" in installation.isolation()["message"], "nobody", PATIENCE)
        assert [witness.contradictions() for witness in witnesses.values()] == [[], []]


def apply_injected(cluster: Cluster, own: str) -> None:
    """A Lock, and a Deployment whose pod the earlier release's injector gives its sidecar."""
    declare(cluster, own, "reports")
    cluster.patch("locks", "reports", {"spec": {"leaseDurationSeconds": TTL}}, own)
    rollout = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    cluster.apply(workload("Deployment", "reports", template("reports"), strategy=rollout), namespace=own)


def name_in_secret(cluster: Cluster, own: str) -> str:
    """Whose certificate the namespace has."""
    secret = cluster.get("secrets", CLIENT, own)
    assert secret is not None
    return common_name(secret)
