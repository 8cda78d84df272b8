"""On a real node: rolling updates, start of a sidecar, the leader's label, the injector, the image."""

import contextlib
import re
import time
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import psutil

from tests.bench.samples import (
    MeasurementFailed,
    Sample,
    Table,
    megabytes,
    milliseconds,
    percentiles,
    say,
    whole_seconds,
)
from tests.bench.scale import Bench
from tests.cluster import Cluster, images, run_helm, why_unavailable
from tests.cluster.line import Line
from tests.cluster.node import PATIENCE
from tests.e2e.installation import CHARTS, Installation
from tests.e2e.witness import PodWitness
from tests.e2e.workload import Workload
from tests.image import build_image
from tests.servers import SHORTEST_PAUSE, wait_for

_LOOK_EVERY = 0.01
_RATE = 50  # pods a second
_CREATORS = 8


def run(bench: Bench) -> list[Table]:
    """All of it, on a cluster of its own with one node."""
    if reason := why_unavailable():
        raise MeasurementFailed(reason)
    with contextlib.closing(Cluster(1, name="bench")) as cluster:
        cluster.start()
        images.load_all(cluster)
        run_helm("dependency", "build", CHARTS / "singleton")
        installation = Installation(cluster)
        own = cluster.make_namespace()
        installation.install(**{"injector.mode": "webhook"})
        return [
            _updates(cluster, own, bench.scale.updates),
            _label(cluster, own, bench.scale.labels),
            _injector(cluster, own, bench.scale.injected_seconds),
            _image(),
        ]


def _updates(cluster: Cluster, own: str, rounds: int) -> Table:
    """Rolling updates of the readiness-gated singleton, and how long each new sidecar took from its start."""
    ours = Sample("leasehold: last 200 of the old pod to first of the new")
    routed = Sample("last 200 of the old pod until the Service routes to the new one")
    whole = Sample("`kubectl rollout status` returns")
    started = Sample("leasehold: a sidecar's start until it leads, nobody else being there")
    one = Workload(cluster, own, "bench")
    with PodWitness(cluster, own, one.labels, every=0.01) as witness:
        one.install({"VERSION": "0"})
        (name,) = one.wait_ready()
        started.add(witness.said[0].answer.received - _born(cluster, own, name))
        for turn in range(1, rounds + 1):
            say(f"cluster: rolling update {turn} of {rounds}")
            token = witness.tokens()[-1]
            with _Endpoints(one) as endpoints:
                began = time.monotonic()
                one.upgrade({"VERSION": str(turn)})
                one.rollout()
                whole.add(time.monotonic() - began)
                new = witness.wait_above(token)
                at = endpoints.wait_for(_address(cluster, own, new.name))
            ours.add(witness.gap_after(token))
            routed.add(at - witness.last_of(token))
        if witness.contradictions():
            raise MeasurementFailed(f"two led at once: {witness.contradictions()[0]}")
    notes = ["One replica, surge 1, unavailable 0, readiness probes of 1 s, a lease of 5 s. Asked every 10 ms."]
    return percentiles("Rolling updates on a real node", [ours, routed, whole, started], whole_seconds, notes)


def _born(cluster: Cluster, own: str, pod: str) -> float:
    """When the sidecar's process was started, by the monotonic clock."""
    first, *_ = cluster.pids(pod, own, "leasehold")
    return psutil.Process(first).create_time() - time.time() + time.monotonic()


def _address(cluster: Cluster, own: str, pod: str) -> str:
    found = cluster.get("pods", pod, own)
    if found is None:
        raise MeasurementFailed(f"the pod {pod} is gone")
    return str(found["status"]["podIP"])


class _Endpoints:
    """Looks all the time whom the Service routes to; `first` is when each address was first seen."""

    def __init__(self, one: Workload) -> None:
        self.first: dict[str, float] = {}
        self._one = one
        self._over = False
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> "_Endpoints":
        self._looking = self._pool.submit(self._look)
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._looking.result(30)
        self._pool.shutdown()

    def wait_for(self, address: str) -> float:
        """When this address was first routed to; waits for that."""
        wait_for(lambda: address in self.first, f"{address} to be routed to", PATIENCE)
        return self.first[address]

    def _look(self) -> None:
        while not self._over:
            for address in self._one.endpoints():
                self.first.setdefault(address, time.monotonic())
            time.sleep(_LOOK_EVERY)


def _label(cluster: Cluster, own: str, rounds: int) -> Table:
    """How long after a takeover the new leader's pod has the label."""
    labelled = Sample("leasehold: first 200 of the new leader until its pod has the label")
    pair = Workload(cluster, own, "pair", replicas=2, **{"leasehold.gate": "label"})
    with PodWitness(cluster, own, pair.labels, every=0.01) as witness:
        pair.install()
        pair.wait_ready(2)
        for turn in range(rounds):
            say(f"cluster: label {turn + 1} of {rounds}")
            old = witness.wait_leader()
            pair.wait_held(by=old.name)
            patch = f'{{"spec": {{"handoverUpToToken": {old.answer.token}}}}}'
            pair.kubectl("patch", "lock", "pair", "--type=merge", f"--patch={patch}")
            new = witness.wait_leader(but=old.name)
            labelled.add(_wait_label(cluster, own, new.name) - witness.first_above(old.answer.token).answer.received)
    return percentiles("The leader's label", [labelled], whole_seconds, ["Of two replicas, on request."])


def _wait_label(cluster: Cluster, own: str, pod: str) -> float:
    """When the pod was seen with the label."""

    def labelled() -> bool:
        found = cluster.get("pods", pod, own)
        return found is not None and "leasehold.dev/leader" in found["metadata"]["labels"]

    wait_for(labelled, f"{pod} to have the label", PATIENCE, longest_pause=SHORTEST_PAUSE)
    return time.monotonic()


def _injector(cluster: Cluster, own: str, seconds: float) -> Table:
    """Pods as they are created, so many a second, and how long the API server waited for the injector."""
    before = _waited(cluster)
    samples = [_created(cluster, own, seconds, injected=injected) for injected in (True, False)]
    after = _waited(cluster)
    half, nearly_all = _bound(before, after, 0.5), _bound(before, after, 0.99)
    notes = [
        f"{_RATE} a second, as a dry run. By its own histogram the API server waited for the injector at most {half} s "
        f"in half of all, and at most {nearly_all} s in 99 of 100."
    ]
    return percentiles("Pods created through the injector", samples, milliseconds, notes)


def _created(cluster: Cluster, own: str, seconds: float, *, injected: bool) -> Sample:
    """How long creating a pod takes, as its creator sees it, over connections that are kept."""
    sample = Sample("leasehold: a pod that is injected is created" if injected else "one that is not")
    say(f"cluster: {sample.name}")
    lines: SimpleQueue[Line] = SimpleQueue()
    with contextlib.ExitStack() as stack:
        for _ in range(_CREATORS):
            lines.put(stack.enter_context(Line(cluster)))
        pool = stack.enter_context(ThreadPoolExecutor(_CREATORS))
        began = time.monotonic()
        running = []
        for number in range(int(seconds * _RATE)):
            time.sleep(max(0.0, began + number / _RATE - time.monotonic()))
            running.append(pool.submit(_create, lines, own, injected))
        for each in running:
            sample.add(each.result(30))
    return sample


_HISTOGRAM = "apiserver_admission_webhook_admission_duration_seconds_bucket"
_WAITED = re.compile(rf'{_HISTOGRAM}\{{name="inject\.leasehold\.dev",.*le="([^"]+)"\}} (\d+)')


def _waited(cluster: Cluster) -> dict[str, int]:
    """How many requests the API server has waited for the injector at most so many seconds for."""
    found: dict[str, int] = {}
    for bound, number in _WAITED.findall(cluster.rest.text("/metrics")):
        found[bound] = found.get(bound, 0) + int(number)
    return found


def _bound(before: dict[str, int], after: dict[str, int], share: float) -> str:
    """The least bound of the histogram that this share of the requests between the two kept."""
    counts = {bound: after[bound] - before.get(bound, 0) for bound in after}
    total = max(counts.values(), default=0)
    if not total:
        raise MeasurementFailed("the API server has not asked the injector")
    return min((bound for bound, count in counts.items() if count >= share * total), key=float)


def _create(lines: "SimpleQueue[Line]", own: str, injected: bool) -> float:
    labels = {"leasehold.dev/inject": "true"} if injected else {}
    annotations = {"leasehold.dev/lock": "bench"} if injected else {}
    metadata = {"generateName": "tried-", "labels": labels, "annotations": annotations}
    pod = {"metadata": metadata, "spec": {"containers": [{"name": "app", "image": "none"}]}}
    line = lines.get()
    try:
        began = time.monotonic()
        line.call("POST", f"/api/v1/namespaces/{own}/pods?dryRun=All", pod)
        return time.monotonic() - began
    finally:
        lines.put(line)


def _image() -> Table:
    """How large the images are."""
    rows = [
        [
            f"leasehold: the {what}'s image, unpacked, over its base with Python",
            megabytes(build_image(extras).size_over_base()),
        ]
        for what, extras in (("sidecar", ""), ("operator", "operator"))
    ]
    return Table("Images", ["size"], rows)
