"""What a pod is given, and what it is refused for."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.injector import patch
from leasehold.injector.annotations import RequestRefused
from tests.unit.injector.pods import SIDECAR, Pod, injected, pod

REVISION = {"pod-template-hash": "7d4f"}


def refusal(original: Pod) -> str:
    with pytest.raises(RequestRefused) as refused:
        injected(original)
    return str(refused.value)


def container(changed: Pod) -> dict[str, Any]:
    first: dict[str, Any] = changed["spec"]["initContainers"][0]
    return first


# --- what it is given ---------------------------------------------------------------------------------------


def test_the_sidecar_comes_first() -> None:
    """Containers and volumes of the pod itself stay as they are."""
    own = {"initContainers": [{"name": "migrate", "image": "app:1"}], "volumes": [{"name": "data", "emptyDir": {}}]}
    changed = injected(pod(spec=own, labels=REVISION))
    assert [each["name"] for each in changed["spec"]["initContainers"]] == ["leasehold", "migrate"]
    assert [each["name"] for each in changed["spec"]["volumes"]] == ["data", "leasehold-state", "leasehold-etcd"]
    assert changed["spec"]["containers"] == pod()["spec"]["containers"]


def test_an_injected_pod_is_left_as_it_is() -> None:
    """Additions of other webhooks to the sidecar's container make no difference."""
    given = injected(pod(labels=REVISION))
    assert injected(given) == given
    sidecar = container(given)
    sidecar["env"].append({"name": "HTTP_PROXY", "value": "http://proxy"})
    next(each for each in sidecar["env"] if each["name"] == "POD_UID")["valueFrom"]["fieldRef"]["apiVersion"] = "v1"
    sidecar["volumeMounts"].append({"name": "token", "mountPath": "/var/run/secrets"})
    sidecar["volumeMounts"].append({"name": "leasehold-state", "mountPath": "/more", "subPath": "more"})
    sidecar["ports"][0]["protocol"] = "TCP"
    sidecar |= {"image": "mirror.example/leasehold:0.1.0", "resources": {}, "readinessProbe": {"exec": {}}}
    given["spec"]["initContainers"].insert(0, {"name": "proxy", "image": "proxy:1"})
    given["spec"]["volumes"].append({"name": "token", "emptyDir": {}})
    assert injected(given) == given


FORGED = [{"name": "leasehold", "image": "busybox"}]
SPOILT: dict[str, Callable[[Pod], object]] = {
    "another lock": lambda given: given["metadata"]["annotations"].update({"leasehold.dev/lock": "other"}),
    "no restarts": lambda given: container(given).pop("restartPolicy"),
    "on the host": lambda given: given["spec"].update(hostNetwork=True),
    "another program": lambda given: container(given).update(command=["sleep", "1"]),
    "other settings": lambda given: container(given)["env"].append({"name": "LEASEHOLD_TTL", "value": "3600"}),
    "settings of a map": lambda given: container(given).update(envFrom=[{"configMapRef": {"name": "mine"}}]),
    "nothing listed": lambda given: container(given).update(env=None, ports=None, volumeMounts=None),
    "no etcd": lambda given: container(given).pop("env"),
    "no certificate": lambda given: given["spec"]["volumes"].pop(),
    "forged": lambda given: given["spec"].update(initContainers=FORGED, volumes=None),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_changed_sidecar_is_injected_again(spoil: Callable[[Pod], object]) -> None:
    """Another webhook has changed it meanwhile, or it is the copy of a pod, with something else asked for."""
    given = injected(pod())
    spoil(given)
    right, expected = injected(given), injected(anew(given))
    assert right != given
    assert right["spec"]["initContainers"] == expected["spec"]["initContainers"]
    assert {each["name"] for each in right["spec"]["volumes"]} == {each["name"] for each in expected["spec"]["volumes"]}
    assert len(right["spec"]["volumes"]) == len(expected["spec"]["volumes"])
    assert injected(right) == right


def anew(given: Pod) -> Pod:
    """The pod as it would be, had it never been given anything."""
    plain = copy.deepcopy(given)
    del plain["metadata"]["annotations"]["leasehold.dev/injected"]
    plain["spec"] |= {"initContainers": None, "volumes": None}
    return plain


def test_an_injected_pod_is_refused_for_what_any_other_is() -> None:
    given = injected(pod())
    given["spec"]["containers"].append({"name": "web", "ports": [{"containerPort": 4040}]})
    assert "the container web uses the port 4040" in refusal(given)
    del given["metadata"]["annotations"]["leasehold.dev/lock"]
    assert "the annotation leasehold.dev/lock is missing" in refusal(given)


def test_an_app_can_share_the_sidecar_s_state() -> None:
    own = {"name": "leasehold-state", "emptyDir": {"medium": "Memory"}}
    changed = injected(pod(spec={"volumes": [own]}))
    assert [each for each in changed["spec"]["volumes"] if each["name"] == "leasehold-state"] == [own]
    assert injected(changed) == changed


def test_a_url_reaches_the_sidecar_as_it_was_written() -> None:
    arguments = container(injected(pod(app_health=":8080/$(POD_UID)")))["args"]
    assert "--app-health=http://127.0.0.1:8080/$$(POD_UID)" in arguments, "the kubelet makes one of two"


JOB = {"batch.kubernetes.io/job-name": "reports"}


def test_a_job_starts_once_it_leads() -> None:
    """By default, and however long it takes; a Job with a health check has the gate of other pods."""
    probe = container(injected(pod(labels=JOB, app_health="")))["startupProbe"]
    assert (probe["httpGet"]["path"], probe["failureThreshold"]) == ("/leader", 2**31 - 1)
    owned = pod(app_health="")
    owned["metadata"]["ownerReferences"] = [{"kind": "Job", "name": "reports"}]
    assert container(injected(owned))["startupProbe"] == probe
    for other in (pod(labels=JOB), pod(labels=JOB, app_health="", gate="readiness"), pod(app_health="")):
        assert container(injected(other))["startupProbe"]["httpGet"]["path"] == "/livez"


def test_an_app_cannot_be_healthy_before_it_starts() -> None:
    assert "cannot be healthy before that" in refusal(pod(gate="startup"))


@pytest.mark.parametrize(("grace", "says"), [(None, "30"), (0, "0"), (7, "7"), (2**40, "604800")])
def test_the_sidecar_knows_the_grace_period(grace: int | None, says: str) -> None:
    changed = injected(pod(spec={"terminationGracePeriodSeconds": grace} if grace is not None else {}))
    assert f"--termination-grace={says}" in container(changed)["args"]


def test_init_containers_may_work_under_the_lock() -> None:
    """Those that end, unless a health check keeps the sidecar from leading before the app runs."""
    ordinary = {"initContainers": [{"name": "migrate", "image": "app:1"}]}
    native = {"initContainers": [{"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}]}
    assert "--init-work" in container(injected(pod(spec=ordinary, app_health="")))["args"]
    for other in (pod(spec=native, app_health=""), pod(spec=ordinary), pod(app_health="")):
        assert "--init-work" not in container(injected(other))["args"]


@pytest.mark.parametrize(("gate", "path"), [("readiness", "/leader"), ("label", "/readyz"), ("", "/leader")])
def test_the_gate_is_what_ready_means(gate: str, path: str) -> None:
    assert container(injected(pod(gate=gate)))["readinessProbe"]["httpGet"]["path"] == path


def test_the_revision_is_the_label_s() -> None:
    fields = {each["name"]: each.get("valueFrom") for each in container(injected(pod(labels=REVISION)))["env"]}
    assert fields["LEASEHOLD_GROUP"] == {"fieldRef": {"fieldPath": "metadata.labels['pod-template-hash']"}}
    assert "LEASEHOLD_GROUP" not in {each["name"] for each in container(injected(pod()))["env"]}


def test_on_the_host_network_control_is_a_socket() -> None:
    """On the node's network, only the pod itself can reach the control listener."""
    arguments = container(injected(pod(spec={"hostNetwork": True})))["args"]
    assert "--control=unix:/state/control.sock" in arguments


def test_the_api_server_has_nothing_to_add() -> None:
    """It gives each container the service account's token: it would do so, and ask again about what it has changed."""
    place = "/var/run/secrets/kubernetes.io/serviceaccount"
    token = {"name": "kube-api-access-x7", "mountPath": place, "readOnly": True}
    others = [{"name": "kube-api-access-x7", "mountPath": "/elsewhere"}, {"name": "mine", "mountPath": place}]
    for mounts, more in (([*others, token], [token]), (others, []), ([], [])):
        made = injected(pod(spec={"containers": [{"name": "app", "volumeMounts": mounts}]}))
        assert made["spec"]["initContainers"][0]["volumeMounts"][2:] == more
        assert injected(made) == made


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
        (pod(spec={"volumes": [{"name": "leasehold-state", "hostPath": {}}]}), "leasehold-state is not an emptyDir"),
        (pod(spec={"volumes": [{"name": "leasehold-etcd"}]}), "already has a volume named leasehold-etcd"),
        (pod(spec={"nodeSelector": {"kubernetes.io/os": "windows"}}), "for Windows"),
        (pod(labels={"leasehold.dev/leader": "true"}), "is set by the operator"),
        (pod(labels={"leasehold.dev/gate": "label"}), "leasehold.dev/gate is an annotation"),
        (pod(labels={"leasehold.dev/locked": "yes"}), "there is no label leasehold.dev/locked"),
        (pod(lock="a" * 9000), "leasehold.dev/lock is '" + "a" * 120 + "'"),
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


def test_a_static_pod_is_refused_since_no_sidecar_would_run() -> None:
    static = pod()
    static["metadata"]["annotations"]["kubernetes.io/config.mirror"] = "hash"
    assert "the pod is static" in refusal(static)


def test_on_the_node_s_network_etcd_s_name_must_be_known() -> None:
    inside = replace(SIDECAR, etcd=("https://leasehold-etcd-0.leasehold-etcd.leasehold-system.svc:2379",))
    on_host = pod(spec={"hostNetwork": True})
    with pytest.raises(RequestRefused, match="set dnsPolicy: ClusterFirstWithHostNet"):
        injected(on_host, inside)
    injected(pod(spec={"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}), inside)
    injected(pod(), inside)
    injected(on_host)


def test_on_the_host_network_control_takes_no_port() -> None:
    """A container of the pod may therefore use the control listener's port."""
    ports = {"containers": [{"name": "a", "ports": [{"containerPort": 4041}]}]}
    injected(pod(spec={"hostNetwork": True, **ports}))


def test_a_secret_for_etcd_is_refused_where_nobody_reads_it() -> None:
    with pytest.raises(RequestRefused, match="etcd is reached without TLS"):
        injected(pod(etcd_secret="mine"), replace(SIDECAR, etcd=("http://etcd:2379",), etcd_secret=""))


def test_another_protocol_on_the_same_port_is_no_clash() -> None:
    injected(pod(spec={"containers": [{"name": "a", "ports": [{"containerPort": 4040, "protocol": "UDP"}]}]}))


def test_a_namespace_opts_in_by_its_label() -> None:
    patch.check_opted_in("apps", {"leasehold.dev/injection": "enabled"})
    with pytest.raises(RequestRefused, match=r"kubectl label namespace apps leasehold\.dev/injection=enabled"):
        patch.check_opted_in("apps", {"leasehold.dev/injection": "true"})


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
    except RequestRefused:
        pass  # with the sentence that the tests above are about
    else:
        assert injected(changed) == changed
        names = [each["name"] for each in changed["spec"]["initContainers"]]
        assert names.count("leasehold") == 1
        assert names[1:] == [each["name"] for each in spec.get("initContainers") or ()]
    assert json.dumps(original) == before
