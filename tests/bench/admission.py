"""How long the API server takes to create a pod: without a sidecar, with one by hand, by the policy, by the webhook.

All in turn, on one API server: the policy and the webhook are the chart's, each for pods with a label of its own. What
a sidecar costs that somebody has written into the pod is what any way of giving it one costs at least.
The injector is one process on loopback, so no pod's network adds to it. Dry runs: etcd's disk is not measured.
"""

import base64
import contextlib
import copy
import sys
import time
from collections.abc import Iterator

from leasehold.lock.kube_names import INJECT_LABEL, PREFIX
from tests.bench.samples import MeasurementFailed, Sample, Table, milliseconds, percentiles, say
from tests.bench.scale import Bench
from tests.charts.rendered import LEASEHOLD, objects, render, values
from tests.cluster import ApiError, ControlPlane, Object
from tests.cluster.line import Line
from tests.servers import Process, release_port, reserve_port, wait_for
from tests.support.metrics import total
from tests.support.sidecars import request

MODES = ("policy", "webhook")
LABEL = "injected-by"
_API = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
_VALUES = {"etcd.endpoints": ["http://etcd:2379"]}


def run(bench: Bench) -> list[Table]:
    """On an API server of its own."""
    with ControlPlane(name="admission") as api, injector(api) as (port, health):
        own = api.make_namespace()
        api.apply(
            {"apiVersion": "leasehold.dev/v1alpha1", "kind": "Lock", "metadata": {"name": "bench"}}, namespace=own
        )
        for each in configuration(api, port):
            api.apply(each)
        with Line(api) as line:
            for mode in MODES:
                wait_for(lambda: _is_injected(line, own, mode), f"the {mode} to inject")  # noqa: B023  # it is called before the next one's turn
            asked = _reviews(health)
            samples = _measure(line, own, bench.scale.pods)
            asked = (_reviews(health) - asked) / bench.scale.pods
    return [percentiles("Creation of a pod", samples, milliseconds, _notes(asked)), _ratios(samples)]


@contextlib.contextmanager
def injector(api: ControlPlane) -> Iterator[tuple[int, int]]:
    """An injector as a process; its port, and that of its metrics."""
    port, health = reserve_port(), reserve_port()
    certificate = api.authority.server("injector")
    flags = [f"--kubeconfig={api.kubeconfig()}", f"--listen=127.0.0.1:{port}", f"--health-listen=127.0.0.1:{health}"]
    flags += [f"--tls-cert={certificate.cert}", f"--tls-key={certificate.key}", "--require-lock"]
    flags += ["--sidecar-image=leasehold:1", "--sidecar-etcd=http://etcd:2379"]
    try:
        with Process([sys.executable, "-m", "leasehold", "injector", *flags], name="injector"):
            yield port, health
    finally:
        release_port(port)
        release_port(health)


def configuration(api: ControlPlane, port: int) -> Iterator[Object]:
    """What the chart has in both modes, with the label that chooses between them."""
    for mode in MODES:
        for each in objects(render(LEASEHOLD, *values(**_VALUES, **{"injector.mode": mode}), f"--api-versions={_API}")):
            selector = {"matchLabels": {LABEL: mode}}
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


def _reviews(port: int) -> float:
    """How often the injector has been asked."""
    return total(request("GET", f"http://127.0.0.1:{port}/metrics")[1], "leasehold_injector_reviews_total")


def _pod(mode: str) -> Object:
    spec = {"containers": [{"name": "app", "image": "none"}]}
    metadata: Object = {"name": "tried"}
    if mode:
        metadata["labels"] = {INJECT_LABEL: "true", LABEL: mode}
        metadata["annotations"] = {f"{PREFIX}lock": "bench", f"{PREFIX}app-health": ":8080/healthz"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _by_hand(made: Object) -> Object:
    """What the policy made of its pod, for somebody to write: without what the API server adds."""
    spec = {**_pod("")["spec"], "initContainers": copy.deepcopy(made["spec"]["initContainers"])}
    spec["volumes"] = [each for each in made["spec"]["volumes"] if each["name"].startswith("leasehold")]
    for each in spec["initContainers"]:
        each["volumeMounts"] = [one for one in each["volumeMounts"] if one["name"].startswith("leasehold")]
    annotations = {f"by-hand/{number}": "an annotation" for number in range(3)}
    metadata = {"name": "tried", "labels": {"by-hand": "true", "by-hand-too": "true"}, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _create(line: Line, own: str, pod: Object) -> Object:
    made: Object = line.call("POST", f"/api/v1/namespaces/{own}/pods?dryRun=All", pod)
    return made


def _is_injected(line: Line, own: str, mode: str) -> bool:
    try:
        return "initContainers" in _create(line, own, _pod(mode))["spec"]
    except ApiError:  # not in force yet, or nobody listens yet
        return False


def _measure(line: Line, own: str, rounds: int) -> list[Sample]:
    bodies = {"": _pod(""), "hand": _by_hand(_create(line, own, _pod("policy")))}
    bodies |= {mode: _pod(mode) for mode in MODES}
    samples = {
        "": Sample("a pod without a sidecar"),
        "hand": Sample("with the same one by hand"),
        "policy": Sample("leasehold: with one by the policy"),
        "webhook": Sample("leasehold: with one by the webhook"),
    }
    for turn in range(rounds):
        if turn % 500 == 0:
            say(f"admission: round {turn + 1} of {rounds}")
        for mode, sample in samples.items():
            began = time.monotonic()
            made = _create(line, own, bodies[mode])
            sample.add(time.monotonic() - began)
            if ("initContainers" in made["spec"]) != bool(mode):
                raise MeasurementFailed(f"{sample.name}: the pod is another")
    return list(samples.values())


def _notes(asked: float) -> list[str]:
    return [
        "One after the other over one connection, as dry runs, all in turn. The injector is on loopback.",
        f"It is asked {asked:.2f} times about a pod.",
    ]


def _ratios(samples: list[Sample]) -> Table:
    """Each against a pod without a sidecar, and against one that has it by hand."""
    without, by_hand, *_ = samples
    bases = [(base, part) for base in (without, by_hand) for part in (50, 99)]
    rows = [
        [each.name, *(f"{each.percentile(part) / base.percentile(part):.2f}" for base, part in bases)]
        for each in samples[1:]
    ]
    columns = ("p50, times without", "p99", "p50, times by hand", "p99")
    return Table("Creation of a pod, times that of others", columns, rows)
