"""How long the API server takes to create a pod: without a sidecar, with one by the policy, and by the webhook.

All three in turn, on one API server: the policy and the webhook are the chart's, each for pods with a label of its own.
The injector is one process on loopback, so no pod's network adds to it. Dry runs: etcd's disk is not measured.
"""

import base64
import contextlib
import sys
import time
from collections.abc import Iterator

from leasehold.kube.api import INJECT_LABEL, PREFIX
from tests.bench.samples import MeasurementFailed, Sample, Table, milliseconds, percentiles, say
from tests.bench.scale import Bench
from tests.charts.rendered import LEASEHOLD, objects, render, values
from tests.cluster import ApiError, ControlPlane, Object
from tests.cluster.line import Line
from tests.servers import Process, release_port, reserve_port, wait_for

_MODES = ("policy", "webhook")
_LABEL = "injected-by"
_API = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
_VALUES = {"etcd.endpoints": ["http://etcd:2379"]}


def run(bench: Bench) -> list[Table]:
    """On an API server of its own."""
    with ControlPlane(name="admission") as api, _injector(api) as port:
        own = api.make_namespace()
        api.apply(
            {"apiVersion": "leasehold.dev/v1alpha1", "kind": "Lock", "metadata": {"name": "bench"}}, namespace=own
        )
        for each in _configuration(api, port):
            api.apply(each)
        with Line(api) as line:
            for mode in _MODES:
                wait_for(lambda: _is_injected(line, own, mode), f"the {mode} to inject")  # noqa: B023
            samples = _measure(line, own, bench.scale.pods)
    return [percentiles("Creation of a pod", samples, milliseconds, _notes()), _ratios(samples)]


@contextlib.contextmanager
def _injector(api: ControlPlane) -> Iterator[int]:
    """An injector as a process; its port."""
    port, health = reserve_port(), reserve_port()
    certificate = api.authority.server("injector")
    flags = [f"--kubeconfig={api.kubeconfig()}", f"--listen=127.0.0.1:{port}", f"--health-listen=127.0.0.1:{health}"]
    flags += [f"--tls-cert={certificate.cert}", f"--tls-key={certificate.key}", "--require-lock"]
    flags += ["--sidecar-image=leasehold:1", "--sidecar-etcd=http://etcd:2379"]
    try:
        with Process([sys.executable, "-m", "leasehold", "injector", *flags], name="injector"):
            yield port
    finally:
        release_port(port)
        release_port(health)


def _configuration(api: ControlPlane, port: int) -> Iterator[Object]:
    """What the chart has in both modes, with the label that chooses between them."""
    for mode in _MODES:
        for each in objects(render(LEASEHOLD, *values(**_VALUES, **{"injector.mode": mode}), f"--api-versions={_API}")):
            selector = {"matchLabels": {_LABEL: mode}}
            if each["kind"].startswith("MutatingAdmissionPolicy"):
                if "matchConstraints" in each["spec"]:
                    each["spec"]["matchConstraints"]["objectSelector"] = selector
                yield each
            elif each["kind"] == "MutatingWebhookConfiguration":
                authority = base64.b64encode(api.authority.path.read_bytes()).decode()
                client = {"url": f"https://127.0.0.1:{port}/mutate", "caBundle": authority}
                each["webhooks"][0] |= {"clientConfig": client, "objectSelector": selector}
                yield each
            elif each["kind"].startswith("ValidatingAdmissionPolicy") and mode == "policy":
                yield each


def _pod(mode: str) -> Object:
    spec = {"containers": [{"name": "app", "image": "none"}]}
    metadata: Object = {"name": "tried"}
    if mode:
        metadata["labels"] = {INJECT_LABEL: "true", _LABEL: mode}
        metadata["annotations"] = {f"{PREFIX}lock": "bench", f"{PREFIX}app-health": ":8080/healthz"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _create(line: Line, own: str, mode: str) -> Object:
    made: Object = line.call("POST", f"/api/v1/namespaces/{own}/pods?dryRun=All", _pod(mode))
    return made


def _is_injected(line: Line, own: str, mode: str) -> bool:
    try:
        return "initContainers" in _create(line, own, mode)["spec"]
    except ApiError:  # not in force yet, or nobody listens yet
        return False


def _measure(line: Line, own: str, rounds: int) -> list[Sample]:
    samples = {
        "": Sample("a pod without a sidecar"),
        "policy": Sample("leasehold: with one by the policy"),
        "webhook": Sample("leasehold: with one by the webhook"),
    }
    for turn in range(rounds):
        if turn % 500 == 0:
            say(f"admission: round {turn + 1} of {rounds}")
        for mode, sample in samples.items():
            began = time.monotonic()
            made = _create(line, own, mode)
            sample.add(time.monotonic() - began)
            if ("initContainers" in made["spec"]) != bool(mode):
                raise MeasurementFailed(f"{sample.name}: the pod is another")
    return list(samples.values())


def _notes() -> list[str]:
    return ["One after the other over one connection, as dry runs, the three in turn. The injector is on loopback."]


def _ratios(samples: list[Sample]) -> Table:
    """Each against a pod without a sidecar."""
    without, *others = samples
    rows = [
        [each.name, *(f"{each.percentile(part) / without.percentile(part):.2f}" for part in (50, 99))]
        for each in others
    ]
    return Table("Creation of a pod, times that without a sidecar", ("p50", "p99"), rows)
