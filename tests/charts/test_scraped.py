"""What the chart's alerts and dashboard ask for is there: in real scrapes, and where the ServiceMonitor looks."""

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.charts.rendered import LEASEHOLD, NAMESPACE, Object, objects, render, values
from tests.cluster import ADMIN, ControlPlane
from tests.injector.injectors import Injector
from tests.operator.operator_process import Operator
from tests.servers import EtcdServer, Process, ProcessFailed, release_port, reserve_port, wait_for
from tests.support.sidecars import Sidecar, request
from tests.unit.test_monitoring import alerts, panels

LOCK: Final = f"{NAMESPACE}/scraped"
SECRETS: Final = ("leasehold-injector-tls", "scraped-ca", "scraped-server")


def asked() -> set[str]:
    """The names of all metrics that an alert or a panel asks for."""
    return set(re.findall(r"\b(?:leasehold|etcd)_\w+", " ".join([*alerts().values(), *panels().values()])))


def names(text: str) -> set[str]:
    """Those of a scrape's samples."""
    return {re.split(r"[{ ]", line)[0] for line in text.splitlines() if line and not line.startswith("#")}


@pytest.fixture
def api() -> Iterator[ControlPlane]:
    """An API server with a Lock, the injector's configuration, and Secrets to be filled."""
    with ControlPlane(name="scraped", controllers=False) as made:
        made.create("namespaces", {"metadata": {"name": NAMESPACE}})
        made.apply(lock(LOCK.rpartition("/")[2]), namespace=NAMESPACE)
        made.apply(lock("unused"), namespace=NAMESPACE)
        for name in SECRETS:
            made.create("secrets", {"metadata": {"name": name}}, NAMESPACE)
        for each in objects(render(LEASEHOLD, *values(**{"injector.mode": "webhook"}))):
            if each["kind"] == "MutatingWebhookConfiguration":
                each["webhooks"] = each["webhooks"][:1]
                each["webhooks"][0]["objectSelector"] = {"matchLabels": {"nobody": "asks"}}
                made.apply(each)
        yield made


def lock(name: str) -> Object:
    return {"apiVersion": "leasehold.dev/v1alpha1", "kind": "Lock", "metadata": {"name": name}}


@pytest.fixture
def scraped(api: ControlPlane, etcd: EtcdServer, root: str) -> Iterator[list[str]]:
    """The addresses of one of each, etcd included, and of two sidecars."""
    with contextlib.ExitStack() as stack:
        operator = Operator(etcd.url, api.kubeconfig(), "operator", root=root, namespace=NAMESPACE)
        stack.callback(operator.close)
        operator.start()
        sidecars = [Sidecar(etcd.url, name, root=root, lock=LOCK) for name in ("one", "two")]
        for each in sidecars:
            stack.callback(each.close)
            each.start()
            each.wait_queued()
        injector = Injector(api, ADMIN)
        stack.callback(injector.close)
        injector.start()
        injector.wait_ready()
        operator.wait_active()
        urls = [etcd.url, operator.url, *(each.url for each in sidecars), f"http://127.0.0.1:{injector.health}"]
        yield [*urls, stack.enter_context(certificates(api))]


@contextlib.contextmanager
def certificates(api: ControlPlane) -> Iterator[str]:
    """What keeps the certificates of the chart's etcd; its address."""
    port = reserve_port()
    flags = [f"--kubeconfig={api.kubeconfig()}", f"--listen=127.0.0.1:{port}", "--authority=scraped-ca"]
    flags += ["--server=scraped-server", "--server-name=scraped", "--server-hosts=localhost", "--days=9"]
    words = [sys.executable, "-m", "leasehold.operator.certificates", *flags, f"--namespace={NAMESPACE}"]
    with Process(words, name="certificates"):
        yield f"http://127.0.0.1:{port}"
    release_port(port)


def test_metrics_are_in_real_scrapes(scraped: list[str]) -> None:
    """Each that an alert or a panel names, under just that name."""
    lacking: set[str] = set()

    def complete() -> bool:
        with contextlib.suppress(OSError):  # not listening yet
            lacking.clear()
            lacking.update(asked().difference(*(names(request("GET", f"{url}/metrics")[1]) for url in scraped)))
            return not lacking
        return False

    with contextlib.suppress(ProcessFailed):  # the assertion says what lacks
        wait_for(complete, "all metrics to be there")
    assert lacking == set()


def test_all_parts_are_scraped() -> None:
    """Each pod with metrics is behind a Service that the ServiceMonitor chooses, by a port that it names."""
    everything = objects(render(LEASEHOLD, *values(**{"serviceMonitor.enabled": True, "injector.mode": "webhook"})))
    (monitor,) = (each["spec"] for each in everything if each["kind"] == "ServiceMonitor")
    wanted = {endpoint["port"] for endpoint in monitor["endpoints"]}
    chosen = [each for each in everything if each["kind"] == "Service" and matches(monitor["selector"], each)]
    for name, pod in templates(everything):
        (service,) = (each for each in chosen if matches({"matchLabels": each["spec"]["selector"]}, pod))
        offered = {port["name"]: port.get("targetPort", port["port"]) for port in service["spec"]["ports"]}
        ports = {port["name"] for each in pod["spec"]["containers"] for port in each["ports"]}
        assert wanted & offered.keys() & ports, name


def templates(everything: list[Object]) -> Iterator[tuple[str, Any]]:
    for each in everything:
        if each["kind"] in ("Deployment", "StatefulSet"):
            yield each["metadata"]["name"], each["spec"]["template"]


def matches(selector: Object, each: Object) -> bool:
    return bool(selector["matchLabels"].items() <= each["metadata"]["labels"].items())
