"""The API server injects as the injector does, field by field, and refuses what it refuses, in the same sentences."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import pytest

from leasehold.injector import annotations
from leasehold.injector.annotations import RequestRefused
from leasehold.injector.config import InjectorConfig, injector_config
from leasehold.injector.container import Sidecar
from leasehold.injector.validation import _MIRROR as MIRROR
from tests.charts.injection import pods, refusals
from tests.charts.rendered import LEASEHOLD, objects, render, values
from tests.cluster import ApiError, ControlPlane
from tests.servers import wait_for
from tests.support.metrics import total
from tests.unit.injector.pods import Pod, injected
from tests.unit.injector.test_patch import SPOILT

MAP: Final = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
INJECTOR: Final = "leasehold-injector"
EXEMPT: Final = "kube-system"
"""Where nothing is injected and nothing refused: the API server's defaults for what the injector made."""
KINDS: Final = ("MutatingAdmissionPolicy", "ValidatingAdmissionPolicy")
SETTINGS: Final[list[dict[str, Any]]] = [
    {"etcd.endpoints": ["http://etcd"]},
    {"etcd.endpoints": ["https://a.b.svc:1", "https://[::1]:2"], "etcd.tls.secretName": "tls", "etcd.root": "/l"},
    {
        "etcd.endpoints": ["https://etcd:2379"],
        "etcd.tls": {"secretName": "tls", "serverTlsOnly": True},
        "etcd.auth": {"user": "svc #1", "secretName": "pw"},
        "sidecar.imagePullSecrets": ["registry", "mine"],
        "openshift": True,
        "sidecar.resources": {"requests": {"cpu": 0.01, "memory": "64Mi"}, "limits": {"ephemeral-storage": "1Gi"}},
    },
]
"""Values of the chart, whose injector says what the policies have to agree with."""


def injector_of(words: Sequence[str]) -> InjectorConfig:
    """The settings that the chart gives its injector."""
    rendered = objects(render(LEASEHOLD, *words, "--set=injector.mode=webhook"))
    (injector,) = (each for each in rendered if each["metadata"]["name"] == INJECTOR and each["kind"] == "Deployment")
    _, *flags = injector["spec"]["template"]["spec"]["containers"][0]["args"]
    return injector_config([*flags, f"--kubeconfig={__file__}"], {})  # any file will do: nothing is asked here


class Policies:
    """The chart's policies on an API server, and the injector's settings that are the same as theirs."""

    def __init__(self, api: ControlPlane) -> None:
        self.api = api
        self.own = api.make_namespace()
        self.chosen: dict[str, Any] = {}
        self.sidecar = Sidecar("", [])
        self.namespace: dict[str, str] = {}
        """The namespace's annotations."""
        self._turn = 0

    def set(self, chosen: dict[str, Any], *, in_force: Callable[[], bool] | None = None) -> None:
        """Apply the chart with these values, if it is not so already, and wait until the API server injects by it."""
        if self.chosen == chosen:
            return
        self.chosen, self._turn = chosen, self._turn + 1
        words = values(**chosen, **{"sidecar.image.tag": str(self._turn)})
        self.sidecar = injector_of(words).sidecar
        for each in objects(render(LEASEHOLD, *words, "--set=injector.mode=policy", f"--api-versions={MAP}")):
            if each["kind"].removesuffix("Binding") in KINDS:
                self.api.apply(each)
        wait_for(in_force or self._in_force, "the policies to be in force")

    def _in_force(self) -> bool:
        """Both policies, and the newest of each."""
        made = self.create(pods.bare_pod())
        refused = self.create(pods.without_annotations())
        return (
            not isinstance(made, str)
            and bool(made["spec"].get("initContainers"))
            and sidecar_of(made)["image"] == self.sidecar.image
            and isinstance(refused, str)
            and "annotation leasehold.dev/lock is missing" in refused
        )

    def create(self, pod: Pod, namespace: str = "") -> Pod | str:
        """What the API server makes of it, by dry run; or its words, if it refuses it."""
        path = f"/api/v1/namespaces/{namespace or self.own}/pods?dryRun=All&fieldValidation=Strict"
        try:
            made: Pod = self.api.rest.call("POST", path, {"apiVersion": "v1", "kind": "Pod", **pod})
        except ApiError as error:
            return str(error)
        return {"metadata": {part: made["metadata"].get(part) for part in ("labels", "annotations")}} | {
            "spec": made["spec"]
        }

    def differs(self, pod: Pod) -> str:
        """How they differ about this pod, as the API server shows it to a webhook; "" if they agree."""
        shown = self.create(pod, EXEMPT)
        asked = pod if isinstance(shown, str) else {"metadata": pod["metadata"], "spec": shown["spec"]}
        seen = self.create(pod)
        try:
            expected = injected(asked, self.sidecar, namespace=self.namespace)
        except RequestRefused as refused:
            return "" if _says(seen, str(refused)) else f"refused: {refused}\nby the policy: {seen}"
        return "\n".join(_differences(self.create(expected, EXEMPT), seen))


def _differences(wanted: object, seen: object, place: str = "") -> Iterator[str]:
    """Where two objects differ, a line each."""
    if isinstance(wanted, dict) and isinstance(seen, dict):
        for name in wanted.keys() | seen.keys():
            yield from _differences(wanted.get(name), seen.get(name), f"{place}.{name}")
    elif isinstance(wanted, list) and isinstance(seen, list) and len(wanted) == len(seen):
        for number, (one, other) in enumerate(zip(wanted, seen, strict=True)):
            yield from _differences(one, other, f"{place}[{number}]")
    elif wanted != seen:
        yield f"{place}: injected {wanted!r}, by the policy {seen!r}"


def _says(seen: Pod | str, sentence: str) -> bool:
    """Whether that is the refusal. About a URL, and about what is close to a name, the injector knows more to say."""
    if not isinstance(seen, str) or "denied request: leasehold: " not in seen:
        return False
    said = seen.partition("denied request: leasehold: ")[2]
    for start in ("leasehold.dev/app-health is ", "there is no annotation "):
        if sentence.startswith(start):
            return said.startswith(start)
    return said.startswith(sentence)


def sidecar_of(pod: Pod) -> dict[str, Any]:
    first: dict[str, Any] = pod["spec"].get("initContainers", [{"image": ""}])[0]
    return first


@pytest.fixture(scope="module")
def policies() -> Iterator[Policies]:
    """The chart's policies, with the first settings."""
    with ControlPlane(name="injection", crd=False) as api:
        made = Policies(api)
        made.set(SETTINGS[0])
        yield made


def check(policies: Policies, tried: Sequence[Pod]) -> tuple[int, int]:
    """How many of them are injected and refused; an assertion that both agree about each."""
    differing = [each for each in map(policies.differs, tried) if each]
    assert not differing, f"{len(differing)} of {len(tried)}, first\n{differing[0]}"
    refused = sum(isinstance(policies.create(pod), str) for pod in tried[::5])
    return len(tried[::5]) - refused, refused


@pytest.mark.parametrize("number", range(len(SETTINGS)))
def test_pods_are_as_the_injectors(policies: Policies, number: int) -> None:
    """Every annotation, and pods of many kinds."""
    assert pods.VALUES.keys() == set(annotations._KNOWN), "tell which texts to try"
    policies.set(SETTINGS[number])
    given, refused = check(policies, [pods.without_annotations(), *pods.each_value(), *pods.mixed(number, 120)])
    assert given > 10
    assert refused > 10


COPIED: Final[dict[str, Callable[[Pod], object]]] = {
    "nothing": lambda pod: None,
    **SPOILT,
    "other order": lambda pod: pod["spec"]["initContainers"].reverse(),
    "another image": lambda pod: sidecar_of(pod).update(image="mirror.example/leasehold:9"),
    "more variables": lambda pod: sidecar_of(pod)["env"].append({"name": "HTTP_PROXY", "value": "http://proxy"}),
    "another gate": lambda pod: pod["metadata"]["annotations"].update({"leasehold.dev/gate": "label"}),
    "now impossible": lambda pod: pod["spec"]["containers"][0].update(ports=[{"containerPort": 4040}]),
}
"""What may have become of a pod since it was injected."""


@pytest.mark.parametrize("change", COPIED.values(), ids=COPIED)
def test_copies_of_injected_pods(policies: Policies, change: Callable[[Pod], object]) -> None:
    """A right sidecar is kept, with what others changed in it; any other is replaced, and none is there twice."""
    policies.set(SETTINGS[1])
    original = pods.bare_pod()
    original["spec"]["initContainers"] = [{"name": "migrate", "image": "app:1"}]
    copied = injected(original, policies.sidecar)
    change(copied)
    assert policies.differs(copied) == ""


def test_refusals_in_the_injectors_words(policies: Policies) -> None:
    """Each sentence that the policy has, about a pod that needs it."""
    policies.set(SETTINGS[1])
    for each in refusals.checks():
        pod = pods.complete(each.example)
        if MIRROR in pod["metadata"].get("annotations", {}):
            continue  # only kubelets make them, which the API server checks first
        with pytest.raises(RequestRefused) as refused:
            injected(pod, policies.sidecar)
        said = str(policies.create(pod))
        assert said.partition("denied request: leasehold: ")[2] == str(refused.value), said


def test_namespace_that_has_not_opted_in(policies: Policies) -> None:
    """Only what has the namespace's label is injected, if the chart is told so."""

    def said() -> str:
        return str(policies.create(pods.bare_pod()))

    policies.set({**SETTINGS[0], "injector.requireOptIn": True}, in_force=lambda: "opted in" in said())
    sentence = (
        f"the namespace {policies.own} has not opted in: kubectl label namespace {policies.own} leasehold.dev/inj"
    )
    assert sentence in said()
    policies.api.patch("namespaces", policies.own, {"metadata": {"labels": {"leasehold.dev/injection": "enabled"}}})
    wait_for(lambda: "opted in" not in said(), "the namespace to have opted in")
    assert sidecar_of(wanted_pod(policies, pods.bare_pod()))["name"] == "leasehold"


def wanted_pod(policies: Policies, pod: Pod) -> Pod:
    made = policies.create(pod)
    assert not isinstance(made, str), made
    return made


def test_lock_that_need_not_be_declared(policies: Policies) -> None:
    """Whether the Lock exists is left to the sidecar."""
    for required in (False, True):
        policies.set({**SETTINGS[0], "injector.requireLock": required})
        assert ("--require-lock" in sidecar_of(wanted_pod(policies, pods.bare_pod()))["args"]) == required


def test_is_done_at_the_second_look(policies: Policies) -> None:
    """The API server asks again about each pod that a policy has changed; the usual one is not judged again."""
    policies.set(SETTINGS[0])
    for pod, judged in ((pods.bare_pod(), 1), (unusual(), 2)):
        before = judgements(policies)
        wanted_pod(policies, pod)
        assert judgements(policies) - before == judged


def unusual() -> Pod:
    pod = pods.bare_pod()
    pod["metadata"]["annotations"]["leasehold.dev/ttl"] = "20"
    return pod


def judgements(policies: Policies) -> float:
    """How often the policy has been evaluated, as the API server counts it."""
    return total(policies.api.rest.text("/metrics"), "apiserver_mutating_admission_policy_check_total", INJECTOR)


def test_later_init_containers_are_followed(policies: Policies) -> None:
    """What another plugin adds after us is taken into account, as with a webhook: here an init container that works."""
    pod = pods.bare_pod()
    del pod["metadata"]["annotations"]["leasehold.dev/app-health"]
    container = "{'name': 'later', 'image': 'app:1'}"
    there = "object.spec.?initContainers.orValue([]).exists(c, c.name == 'later')"
    at = "has(object.spec.initContainers) ? '/spec/initContainers/0' : '/spec/initContainers'"
    value = f"has(object.spec.initContainers) ? dyn({container}) : dyn([{container}])"
    expression = f"{there} ? [] : [JSONPatch{{op: 'add', path: {at}, value: {value}}}]"
    with later(policies, expression):
        wait_for(lambda: "later" in names_of(changed(policies, pod)), "the other policy to be in force")
        made = changed(policies, pod)
    assert sorted(names_of(made)) == ["later", "leasehold"]
    (sidecar,) = (each for each in made["spec"]["initContainers"] if each["name"] == "leasehold")
    assert "--init-work" in sidecar["args"]


LATER: Final = {
    "grace": ("'/spec/terminationGracePeriodSeconds'", "77"),
    "arguments": ("'/spec/initContainers/0/args/2'", "'--lock=another'"),
    "environment": ("'/spec/initContainers/0/env/0/value'", "'http://another:2379'"),
    "annotation": ("'/metadata/annotations/leasehold.dev~1gate'", "'label'"),
    "volume": ("'/spec/volumes/0'", "{'name': dyn('other'), 'emptyDir': dyn({})}"),
}


@pytest.mark.parametrize(("path", "value"), LATER.values(), ids=LATER)
def test_later_changes_are_followed(policies: Policies, path: str, value: str) -> None:
    """What another plugin changes after us: the sidecar is in the end the one that the pod asks for then."""
    pod = pods.bare_pod()
    injected_yet = "object.metadata.?annotations[?'leasehold.dev/injected'].hasValue()"
    mark = "JSONPatch{op: 'add', path: '/metadata/annotations/later', value: 'yes'}"
    once = f"{injected_yet} && !('later' in object.metadata.annotations)"
    with later(policies, f"{once} ? [JSONPatch{{op: 'add', path: {path}, value: {value}}}, {mark}] : []"):
        wait_for(lambda: "later" in changed(policies, pod)["metadata"]["annotations"], "the other policy")
        made = changed(policies, pod)
    again = {"metadata": {**made["metadata"], "name": pod["metadata"]["name"]}, "spec": made["spec"]}
    assert policies.create(again) == made, "asked once more, nothing would be changed"
    assert policies.differs(again) == ""


def changed(policies: Policies, pod: Pod) -> Pod:
    """What becomes of the pod where `later` has another policy change it."""
    labels = {**pod["metadata"]["labels"], **ADDED}
    return wanted_pod(policies, {**pod, "metadata": {**pod["metadata"], "labels": labels}})


ADDED: Final = {"added": "later"}


@contextlib.contextmanager
def later(policies: Policies, expression: str) -> Iterator[None]:
    """A policy of somebody else's, which has its turn after ours, in whichever order the API server has them."""
    policies.set(SETTINGS[0])
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    spec = {
        "matchConstraints": {"objectSelector": {"matchLabels": ADDED}, "resourceRules": [rule]},
        "reinvocationPolicy": "IfNeeded",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
    }
    version = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": "zz-later"}}
    policies.api.apply({**version, "kind": "MutatingAdmissionPolicy", "spec": spec})
    policies.api.apply({**version, "kind": "MutatingAdmissionPolicyBinding", "spec": {"policyName": "zz-later"}})
    try:
        yield
    finally:
        policies.api.kubectl("delete", "mutatingadmissionpolicybinding/zz-later", "mutatingadmissionpolicy/zz-later")


def names_of(pod: Pod) -> list[str]:
    return [each["name"] for each in pod["spec"].get("initContainers", ())]


@pytest.mark.parametrize(
    "annotations_of_namespace",
    [
        {"cpu-limit": "200m", "memory-limit": "none", "memory-request": "1Mi"},
        {"cpu-limit": "1m"},
        {"memory-request": "97Mi"},
        {"cpu-request": "lots"},
        {"memory-limit": ""},
    ],
    ids=str,
)
def test_resources_of_a_namespace(policies: Policies, annotations_of_namespace: dict[str, str]) -> None:
    """Its annotations give a sidecar its resources, if the pod's don't, and if the pod has none for all containers."""
    policies.set(SETTINGS[0])
    policies.namespace = {f"leasehold.dev/{name}": text for name, text in annotations_of_namespace.items()}
    tried = [pods.bare_pod() for _ in range(4)]
    tried[1]["metadata"]["annotations"] |= {"leasehold.dev/cpu-limit": "1", "leasehold.dev/memory-limit": "1Gi"}
    tried[2]["spec"]["resources"] = {"limits": {"memory": "1Gi"}}
    tried[3] = injected(tried[3], policies.sidecar)
    path = ("namespaces", policies.own)
    policies.api.patch(*path, {"metadata": {"annotations": policies.namespace}})
    try:
        wait_for(lambda: not policies.differs(tried[0]), "the annotations to be known")
        assert [policies.differs(each) for each in tried] == [""] * 4
    finally:
        policies.api.patch(*path, {"metadata": {"annotations": dict.fromkeys(policies.namespace)}})
        policies.namespace = {}
        wait_for(lambda: not policies.differs(tried[0]), "the annotations to be gone")
