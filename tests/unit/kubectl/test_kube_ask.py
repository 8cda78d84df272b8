"""What `kubectl leasehold check` asks a cluster."""

from leasehold.kubectl.kube_ask import NEEDED
from tests.operator.operator_manifest import OPERATOR, documents


def test_every_right_of_the_operator_is_asked_about() -> None:
    """All that it has in all namespaces; but for one namespace by its name, which such a question cannot say."""
    roles = (one for one in documents() if one["kind"] == "ClusterRole")
    (role,) = (one for one in roles if one["metadata"]["name"] == OPERATOR)
    has = {
        (group, resource, verb)
        for rule in role["rules"]
        if "resourceNames" not in rule
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert set(NEEDED) == has
