"""What a service account was given by its roles, against what it asked for by the API server's audit log."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.cluster.objects import Object

Right = tuple[str, str, str, str, str]
"""Namespace ("" for all), API group, resource, object name ("" for any), verb."""


def check_rights(documents: Sequence[Object], asked: Sequence[Object]) -> None:
    """Every right that these roles give was used, and none was missing. `asked` are the account's audit events."""
    events = [one for one in asked if "resource" in one.get("objectRef", {})]  # which resources there are, all may ask
    assert [one for one in events if one.get("responseStatus", {}).get("code") in (401, 403)] == []
    used = {_used(one) for one in events}
    rights = set(granted(documents))
    assert {one for one in used if not any(_covers(right, one) for right in rights)} == set()
    assert {right for right in rights if not any(_covers(right, one) for one in used)} == set()


def granted(documents: Sequence[Object]) -> Iterator[Right]:
    """The rights that the bindings among these objects give."""
    roles = {(one["kind"], one["metadata"]["name"]): one for one in documents if one["kind"].endswith("Role")}
    for binding in documents:
        if binding["kind"] in ("ClusterRoleBinding", "RoleBinding"):
            for rule in roles[binding["roleRef"]["kind"], binding["roleRef"]["name"]]["rules"]:
                yield from _rights(binding["metadata"].get("namespace", ""), rule)


def _rights(namespace: str, rule: Mapping[str, Any]) -> Iterator[Right]:
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            for name in rule.get("resourceNames", [""]):
                for verb in rule["verbs"]:
                    yield namespace, group, resource, name, verb


def _used(event: Object) -> Right:
    target = event["objectRef"]
    resource = "/".join(filter(None, (target["resource"], target.get("subresource"))))
    group = target.get("apiGroup", "")
    return target.get("namespace", ""), group, resource, target.get("name", ""), event["verb"]


def _covers(right: Right, used: Right) -> bool:
    namespace, group, resource, name, verb = right
    return (group, resource, verb) == used[1:3] + used[4:] and namespace in ("", used[0]) and name in ("", used[3])
