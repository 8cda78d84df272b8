"""The operator's rights: exactly these, asked as its own service account on a real API server."""

from typing import Any

import pytest
import yaml

from tests.cluster import ApiError, ControlPlane
from tests.cluster.objects import Object, Objects
from tests.operator.operator_manifest import OPERATOR, OPERATOR_NAMESPACE, documents, install_operator, may
from tests.servers import wait_for

# (API group, resource, object name if only one, verb)
EVERYWHERE = {
    *(("leasehold.dev", "locks", "", verb) for verb in ("list", "watch", "patch")),
    ("leasehold.dev", "locks/status", "", "patch"),
    *(("", "pods", "", verb) for verb in ("get", "list", "watch", "patch")),
    *(("apps", kind, "", verb) for kind in ("replicasets", "statefulsets") for verb in ("list", "watch")),
    ("", "events", "", "create"),
    ("", "namespaces", "kube-system", "get"),
}
AT_HOME = EVERYWHERE | {("leasehold.dev", "locks", "", "create")}

DANGEROUS = [
    ("get", "secrets"),
    ("list", "secrets"),
    ("get", "configmaps"),
    ("create", "pods"),
    ("delete", "pods"),
    ("update", "pods"),
    ("deletecollection", "pods"),
    ("create", "pods/exec"),
    ("get", "pods/log"),
    ("patch", "pods/status"),
    ("patch", "pods/ephemeralcontainers"),
    ("create", "pods/eviction"),
    ("create", "serviceaccounts/token"),
    ("impersonate", "users"),
    ("impersonate", "serviceaccounts"),
    ("list", "namespaces"),
    ("patch", "namespaces"),
    ("get", "nodes"),
    ("list", "events"),
    ("delete", "events"),
    ("patch", "deployments.apps"),
    ("patch", "replicasets.apps"),
    ("patch", "statefulsets.apps"),
    ("create", "locks"),
    ("update", "locks"),
    ("delete", "locks"),
    ("deletecollection", "locks"),
    ("update", "locks/status"),
    ("get", "customresourcedefinitions.apiextensions.k8s.io"),
    ("patch", "customresourcedefinitions.apiextensions.k8s.io"),
    ("get", "leases.coordination.k8s.io"),
    ("bind", "clusterroles.rbac.authorization.k8s.io"),
    ("escalate", "clusterroles.rbac.authorization.k8s.io"),
    ("create", "rolebindings.rbac.authorization.k8s.io"),
    ("patch", "validatingadmissionpolicies.admissionregistration.k8s.io"),
    ("delete", "validatingadmissionpolicybindings.admissionregistration.k8s.io"),
    ("*", "*.*"),
]


@pytest.fixture(scope="module")
def user(api: ControlPlane) -> str:
    return install_operator(api)


def rights(api: ControlPlane, user: str, namespace: str) -> set[tuple[str, str, str, str]]:
    """What `kubectl auth can-i --list` shows, without what every user may: ask about itself, read whom to trust."""
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    status = api.as_user(user).rest.call("POST", path, {"spec": {"namespace": namespace}})["status"]
    assert not status["incomplete"]
    return {
        (group, resource, name, verb)
        for rule in status["resourceRules"]
        for group in rule["apiGroups"]
        if group not in ("authorization.k8s.io", "authentication.k8s.io", "certificates.k8s.io")
        for resource in rule["resources"]
        for name in rule.get("resourceNames") or [""]
        for verb in rule["verbs"]
    }


def test_its_rights_are_exactly_these(api: ControlPlane, user: str, namespace: str) -> None:
    assert rights(api, user, namespace) == EVERYWHERE
    assert rights(api, user, OPERATOR_NAMESPACE) == AT_HOME


@pytest.mark.parametrize(("verb", "resource"), DANGEROUS, ids=[" ".join(case) for case in DANGEROUS])
def test_what_is_dangerous_is_denied(api: ControlPlane, user: str, verb: str, resource: str) -> None:
    """In all namespaces, and in one; of Locks it may make one at home: the canary."""
    assert not may(api, user, verb, resource)
    assert not may(api, user, verb, resource, "kube-system")
    assert may(api, user, verb, resource, OPERATOR_NAMESPACE) is ((verb, resource) == ("create", "locks"))


def test_reads_one_namespace_only(api: ControlPlane, user: str) -> None:
    """Of the namespaces, it may read only the one that names the cluster."""
    assert may(api, user, "get", "namespaces", name="kube-system")
    assert not may(api, user, "get", "namespaces", name="default")


# --- patches of pods: the one right that would be worth stealing ---------------------------------------------------


@pytest.fixture
def pod(api: ControlPlane, namespace: str) -> Object:
    return api.make_pod("pod-1", namespace, labels={"app": "web"}, annotations={"note": "as it was"})


@pytest.fixture
def operator(api: ControlPlane, user: str) -> Objects:
    return api.as_user(user)


def patch(operator: Objects, pod: Object, body: dict[str, Any]) -> Object:
    return operator.patch("pods", pod["metadata"]["name"], body, pod["metadata"]["namespace"])


def test_may_mark_a_leader(operator: Objects, pod: Object) -> None:
    """It may mark a pod as the leader, and take the mark away."""
    label, annotation = "leasehold.dev/leader", "leasehold.dev/leader-of"
    marked = patch(operator, pod, {"metadata": {"labels": {label: "true"}, "annotations": {annotation: "web"}}})
    assert marked["metadata"]["labels"] == {"app": "web", label: "true"}
    patch(operator, pod, {"metadata": {"annotations": {annotation: "web,other"}}})
    bare = patch(operator, pod, {"metadata": {"labels": {label: None}, "annotations": {annotation: None}}})
    assert bare["metadata"]["labels"] == {"app": "web"}
    assert bare["metadata"]["annotations"] == {"note": "as it was"}


def test_may_mark_an_unlabelled_pod(api: ControlPlane, operator: Objects, namespace: str) -> None:
    """And take the label away again, which leaves none."""
    pod = api.make_pod("bare", namespace)
    for value in ("true", None):
        patch(operator, pod, {"metadata": {"labels": {"leasehold.dev/leader": value}}})


FORBIDDEN: list[tuple[str, dict[str, Any]]] = [
    ("another label", {"metadata": {"labels": {"leasehold.dev/leader": "true", "app": "other"}}}),
    ("a new label", {"metadata": {"labels": {"new": "x"}}}),
    ("a label taken away", {"metadata": {"labels": {"app": None}}}),
    ("all labels taken away", {"metadata": {"labels": None}}),
    ("another annotation", {"metadata": {"annotations": {"note": "x"}}}),
    ("a new annotation", {"metadata": {"annotations": {"new": "x"}}}),
    ("an annotation taken away", {"metadata": {"annotations": {"note": None}}}),
    ("a deadline", {"spec": {"activeDeadlineSeconds": 1}}),
    ("a finalizer", {"metadata": {"finalizers": ["evil.example/stuck"]}}),
    (
        "an owner",
        {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "gone", "uid": "gone"}]}},
    ),
]


@pytest.mark.parametrize("body", [case[1] for case in FORBIDDEN], ids=[case[0] for case in FORBIDDEN])
def test_may_change_nothing_else_of_a_pod(api: ControlPlane, operator: Objects, pod: Object, body: Object) -> None:
    """Its rights on pods end at the mark of the leader."""
    with pytest.raises(ApiError, match="Leasehold's operator may change no") as refused:
        patch(operator, pod, body)
    assert refused.value.status == 403
    api.patch("pods", pod["metadata"]["name"], body, pod["metadata"]["namespace"])  # others may


def test_may_run_no_other_image(operator: Objects, pod: Object) -> None:
    """It may not change the image of a pod."""
    [container] = pod["spec"]["containers"]
    with pytest.raises(ApiError, match="Leasehold's operator may change nothing"):
        patch(operator, pod, {"spec": {"containers": [{**container, "image": "other"}]}})


# --- those who use Locks ------------------------------------------------------------------------------------------

USERS = [
    ("leasehold-view", {"get", "list", "watch"}, ["view", "edit", "admin"]),
    ("leasehold-edit", {"create", "update", "patch", "delete", "deletecollection"}, ["edit", "admin"]),
]


@pytest.mark.parametrize(("role", "verbs", "part_of"), USERS, ids=[case[0] for case in USERS])
def test_viewers_and_editors_of_locks(
    api: ControlPlane, user: str, namespace: str, role: str, verbs: set[str], part_of: list[str]
) -> None:
    """Never with their statuses. The cluster's own roles take these up by their labels."""
    person = api.service_account("person", namespace)
    subject = {"kind": "ServiceAccount", "name": "person", "namespace": namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    binding = {"metadata": {"name": "person"}, "subjects": [subject], "roleRef": reference}
    api.create("rolebindings", binding, namespace)
    wanted = {("leasehold.dev", "locks", "", verb) for verb in verbs}
    wait_for(lambda: rights(api, person, namespace) == wanted, f"the rights of {role}, and no others")

    made = api.get("clusterroles", role)
    assert made is not None
    takers = [taker for taker in ("view", "edit", "admin") if _takes_up(api, taker, made["metadata"]["labels"])]
    assert takers == part_of


def _takes_up(api: ControlPlane, taker: str, labels: dict[str, str]) -> bool:
    found = api.get("clusterroles", taker)
    assert found is not None
    wanted = [selector["matchLabels"] for selector in found["aggregationRule"]["clusterRoleSelectors"]]
    return any(selector.items() <= labels.items() for selector in wanted)


# --- the rest of the manifest -------------------------------------------------------------------------------------


def test_pods_are_admitted_as_restricted(api: ControlPlane, user: str) -> None:
    """The API server itself judges the pods by the namespace's Pod Security label."""
    deployment = next(document for document in documents() if document["kind"] == "Deployment")
    api.apply(yaml.safe_dump(deployment), namespace=OPERATOR_NAMESPACE)
    try:
        wait_for(lambda: len(_replicas(api)) == 2, "two pods of the operator")
        assert {pod["spec"]["serviceAccountName"] for pod in _replicas(api)} == {OPERATOR}
    finally:
        api.delete("deployments", OPERATOR, OPERATOR_NAMESPACE)
        wait_for(lambda: not _replicas(api), "the operator's pods to be gone")


def _replicas(api: ControlPlane) -> list[Object]:
    pods = api.list("pods", OPERATOR_NAMESPACE, labels="app.kubernetes.io/component=operator")
    for pod in pods:
        if "deletionTimestamp" in pod["metadata"]:
            api.delete("pods", pod["metadata"]["name"], OPERATOR_NAMESPACE, now=True)  # there is no kubelet to do it
    return pods


def test_manifest_applied_again_is_stable(api: ControlPlane, user: str) -> None:
    """Else a tool that compares repository and cluster would never be content."""
    objects = [document for document in documents() if document["kind"] != "Deployment"]
    assert api.kubectl("diff", "-f", "-", stdin=yaml.safe_dump_all(objects)) == ""


def test_one_replica_is_drained_at_a_time(api: ControlPlane, user: str) -> None:
    """The disruption budget lets one replica go, and not the other."""
    budget = api.get("poddisruptionbudgets", OPERATOR, OPERATOR_NAMESPACE)
    deployment = next(document for document in documents() if document["kind"] == "Deployment")
    assert budget is not None
    assert budget["spec"]["maxUnavailable"] == 1
    assert deployment["spec"]["replicas"] == 2
    selected = budget["spec"]["selector"]["matchLabels"].items()
    assert selected <= deployment["spec"]["template"]["metadata"]["labels"].items()
