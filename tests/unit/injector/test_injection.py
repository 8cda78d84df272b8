"""What a pod is given, and what it is refused for."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.injector import injection
from sidecar.injector.asked import Refused
from tests.unit.injector.pods import Pod, injected, pod

REVISION = {"pod-template-hash": "7d4f"}


def refusal(original: Pod) -> str:
    with pytest.raises(Refused) as refused:
        injected(original)
    return str(refused.value)


def container(changed: Pod) -> dict[str, Any]:
    first: dict[str, Any] = changed["spec"]["initContainers"][0]
    return first


# --- what it is given ---------------------------------------------------------------------------------------


def test_the_sidecar_comes_first_and_nothing_of_the_pod_s_own_is_changed() -> None:
    own = {"initContainers": [{"name": "migrate", "image": "app:1"}], "volumes": [{"name": "data", "emptyDir": {}}]}
    changed = injected(pod(spec=own, labels=REVISION))
    assert [each["name"] for each in changed["spec"]["initContainers"]] == ["leasehold", "migrate"]
    assert [each["name"] for each in changed["spec"]["volumes"]] == ["data", "leasehold-state", "leasehold-etcd"]
    assert changed["spec"]["containers"] == pod()["spec"]["containers"]


def test_an_injected_pod_is_known_for_one() -> None:
    assert not injection.is_injected(pod())
    assert injection.is_injected(injected(pod()))


@pytest.mark.parametrize(("gate", "path"), [("readiness", "/leader"), ("label", "/readyz"), ("", "/leader")])
def test_the_gate_is_what_ready_means(gate: str, path: str) -> None:
    assert container(injected(pod(gate=gate)))["readinessProbe"]["httpGet"]["path"] == path


def test_the_revision_is_the_label_s() -> None:
    fields = {each["name"]: each.get("valueFrom") for each in container(injected(pod(labels=REVISION)))["env"]}
    assert fields["LEASEHOLD_GROUP"] == {"fieldRef": {"fieldPath": "metadata.labels['pod-template-hash']"}}
    assert "LEASEHOLD_GROUP" not in {each["name"] for each in container(injected(pod()))["env"]}


def test_on_the_node_s_network_nobody_but_the_pod_can_reach_the_control_listener() -> None:
    arguments = container(injected(pod(spec={"hostNetwork": True})))["args"]
    assert "--control=unix:/state/control.sock" in arguments


def test_what_the_pod_does_not_say_is_not_asked() -> None:
    arguments = container(injected(pod(app_health=""), require_lock=False))["args"]
    assert not [each for each in arguments if each.startswith(("--app-health", "--ttl", "--require-lock", "--root"))]


# --- what it is refused for ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("original", "sentence"),
    [
        (pod(lock=""), "the annotation leasehold.dev/lock is missing"),
        (pod(lock="other/reports"), "without a /"),
        (pod(lock="Reports"), "leasehold.dev/lock is 'Reports'"),
        (pod(gate="maybe"), "leasehold.dev/gate is 'maybe'"),
        (pod(ttl="2"), "leasehold.dev/ttl is '2'"),
        (pod(ttl="soon"), "leasehold.dev/ttl is 'soon'"),
        (pod(port="0"), "leasehold.dev/port is '0'"),
        (pod(port="4041"), "are both 4041"),
        (pod(app_health="healthz"), "leasehold.dev/app-health is 'healthz'"),
        (pod(require_lock="yes"), "leasehold.dev/require-lock is 'yes'"),
        (pod(etcd_secret="My Secret"), "use the name of a Secret"),
        (pod(locks="reports"), "there is no annotation leasehold.dev/locks: did you mean leasehold.dev/lock?"),
        (pod(colour="red"), "there is no annotation leasehold.dev/colour: use leasehold.dev/lock, "),
        (pod(injected="0.1.0"), "leasehold.dev/injected is the injector's to set"),
        (pod(app_health="", labels=REVISION), "the annotation leasehold.dev/app-health is missing"),
        (pod(labels={"leasehold.dev/inject": "yes"}), 'the label leasehold.dev/inject is "yes": use "true"'),
        (pod(spec={"os": {"name": "windows"}}), "for Windows"),
        (pod(spec={"containers": [{"name": "leasehold"}]}), "a container named leasehold already"),
        (pod(spec={"initContainers": [{"name": "leasehold"}]}), "a container named leasehold already"),
        (pod(spec={"volumes": [{"name": "leasehold-state"}]}), "a volume named leasehold-state already"),
        (pod(spec={"containers": [{"name": "a", "ports": [{"containerPort": 4041}]}]}), "leasehold.dev/control-port"),
        (
            pod(spec={"containers": [{"name": "a", "ports": [{"containerPort": 1, "name": "leasehold"}]}]}),
            "a port named",
        ),
    ],
    ids=lambda each: each[:40] if isinstance(each, str) else "",
)
def test_a_mistake_is_refused_in_a_sentence(original: Pod, sentence: str) -> None:
    assert sentence in refusal(original)


def test_another_protocol_on_the_same_port_is_no_clash() -> None:
    injected(pod(spec={"containers": [{"name": "a", "ports": [{"containerPort": 4040, "protocol": "UDP"}]}]}))


def test_a_namespace_opts_in_by_its_label() -> None:
    injection.check_opted_in("apps", {"leasehold.dev/injection": "enabled"})
    with pytest.raises(Refused, match=r"kubectl label namespace apps leasehold\.dev/injection=enabled"):
        injection.check_opted_in("apps", {"leasehold.dev/injection": "true"})


_NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)
_PORTS = st.builds(lambda port, name: {"containerPort": port, "name": name}, st.integers(1, 65535), _NAMES)
_CONTAINERS = st.lists(
    st.builds(lambda name, ports: {"name": name, "ports": ports}, _NAMES, st.lists(_PORTS, max_size=2)), max_size=3
)
_SPECS = st.fixed_dictionaries(
    {"containers": _CONTAINERS},
    optional={
        "initContainers": st.none() | _CONTAINERS,
        "volumes": st.none() | st.lists(st.builds(lambda name: {"name": name, "emptyDir": {}}, _NAMES), max_size=3),
        "hostNetwork": st.booleans(),
    },
)


@given(_SPECS, st.dictionaries(_NAMES, st.text(max_size=20), max_size=3))
def test_any_pod_is_given_one_sidecar_or_a_sentence(spec: dict[str, Any], labels: dict[str, str]) -> None:
    original = pod(spec=spec, labels=labels)
    before = json.dumps(original)
    try:
        changed = injected(original)
    except Refused:
        pass  # with the sentence that the tests above are about
    else:
        assert injection.is_injected(changed)
        names = [each["name"] for each in changed["spec"]["initContainers"]]
        assert names.count("leasehold") == 1
        assert names[1:] == [each["name"] for each in spec.get("initContainers") or ()]
    assert json.dumps(original) == before
