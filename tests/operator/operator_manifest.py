"""The operator's manifest on a control plane of the tests, so that an operator can run with exactly its rights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import ApiError, ControlPlane
from tests.cluster.rest import path_of
from tests.servers import wait_for

MANIFEST = Path(__file__).parents[2] / "manifests" / "operator.yaml"
OPERATOR_NAMESPACE = "leasehold-system"
OPERATOR = "leasehold-operator"


def documents() -> list[dict[str, Any]]:
    """The objects of the manifest, in its order."""
    return list(yaml.safe_load_all(MANIFEST.read_text()))


def install_operator(api: ControlPlane) -> str:
    """Install all of the manifest but the Deployment; the service account's user name, whose rights are in force.

    It may be called again for the same control plane.
    """
    objects = [document for document in documents() if document["kind"] != "Deployment"]
    api.apply(yaml.safe_dump_all(objects), namespace=OPERATOR_NAMESPACE)
    user = api.service_account(OPERATOR, OPERATOR_NAMESPACE)
    wait_for(lambda: _roles_are_in_force(api, user), "the operator's roles to be in force")
    _make_probe(api)
    wait_for(lambda: _policy_is_in_force(api, user), "the policy on the operator's patches of pods to be in force")
    api.delete("pods", _PROBE, OPERATOR_NAMESPACE, now=True)
    return user


def _roles_are_in_force(api: ControlPlane, user: str) -> bool:
    """Of the bindings, the last in the manifest is the one of the Role: what it allows, and what the other does."""
    return all(may(api, user, *question) for question in (("create", "locks", OPERATOR_NAMESPACE), ("list", "locks")))


def may(api: ControlPlane, user: str, verb: str, resource: str, namespace: str = "", name: str = "") -> bool:
    """Whether the user may do that, in one namespace or in all; `resource` is as in `locks.leasehold.dev/status`.

    The group may be left out of those that only one has.
    """
    plural, _, subresource = resource.partition("/")
    plural, _, group = plural.partition(".")
    group = group or {"locks": "leasehold.dev"}.get(plural, "")
    attributes = {"verb": verb, "group": group, "resource": plural, "subresource": subresource}
    review = {"spec": {"resourceAttributes": attributes | {"namespace": namespace, "name": name}}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    return bool(api.as_user(user).rest.call("POST", path, review)["status"]["allowed"])


_PROBE = "policy-probe"


def _make_probe(api: ControlPlane) -> None:
    api.delete("pods", _PROBE, OPERATOR_NAMESPACE, now=True)
    restricted = {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {"name": "app", "image": "none", "securityContext": restricted}
    body = {"metadata": {"name": _PROBE}, "spec": {"containers": [container], "automountServiceAccountToken": False}}
    wait_for(lambda: api.get("serviceaccounts", "default", OPERATOR_NAMESPACE), "the namespace's service account")
    api.create("pods", body, OPERATOR_NAMESPACE)


def _policy_is_in_force(api: ControlPlane, user: str) -> bool:
    """A policy takes effect some moments after its creation."""
    path = path_of("pods", _PROBE, OPERATOR_NAMESPACE, dryRun="All")
    body = {"metadata": {"labels": {"any": "other"}}}
    call = api.as_user(user).rest.call
    return is_refused_by_policy(lambda: call("PATCH", path, body, content_type="application/merge-patch+json"))


def is_refused_by_policy(request: Callable[[], object]) -> bool:
    """Whether an admission policy, and not a role, refuses this request."""
    try:
        request()
    except ApiError as error:
        return "ValidatingAdmissionPolicy" in error.message
    return False
