"""The sidecar's requests and limits: by the pod's annotations, its namespace's, or the injector's settings."""

from dataclasses import replace
from typing import Any

import pytest

from leasehold.injector.annotations import RequestRefused
from tests.unit.injector.pods import SIDECAR, Pod, injected, pod

USUAL = SIDECAR.resources
ALL = {"cpu_request": "1", "cpu_limit": "2", "memory_request": "64Mi", "memory_limit": "1Gi"}
QUOTA = {"leasehold.dev/cpu-limit": "200m", "leasehold.dev/memory-limit": "none", "owner": "reports"}


def resources(original: Pod, namespace: dict[str, str] | None = None) -> dict[str, Any]:
    changed = injected(original, namespace=namespace)
    given: dict[str, Any] = changed["spec"]["initContainers"][0]["resources"]
    return given


def test_annotations_of_the_pod() -> None:
    every = {"requests": {"cpu": "1", "memory": "64Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}}
    assert resources(pod(None, None, **ALL)) == every
    assert resources(pod()) == USUAL
    assert resources(pod(cpu_limit="1")) == {**USUAL, "limits": {"memory": "96Mi", "cpu": "1"}}
    assert resources(pod(cpu_request="none", memory_request="none")) == {"limits": {"memory": "96Mi"}}


@pytest.mark.parametrize(("request_", "limit"), [("1e-10", "1e-12"), ("16Ei", "8Ei")])
def test_amounts_that_are_the_same_in_the_end(request_: str, limit: str) -> None:
    """The API server rounds tiny ones up, and takes binary ones only as far as 64 bits go."""
    assert resources(pod(cpu_request=request_, cpu_limit=limit))["requests"]["cpu"] == request_


def test_annotations_of_the_namespace() -> None:
    """They stand between the injector's settings and the pod's annotations; others are none of ours."""
    requests = USUAL["requests"]
    assert resources(pod(), QUOTA) == {"requests": requests, "limits": {"cpu": "200m"}}
    assert resources(pod(cpu_limit="1"), QUOTA) == {"requests": requests, "limits": {"cpu": "1"}}
    twice = {"leasehold.dev/memory-limit": "300Mi"}
    changed = injected(pod(memory_request="200Mi"), namespace=twice)
    assert changed["spec"]["initContainers"][0]["resources"]["limits"] == {"memory": "300Mi"}
    assert injected(changed, namespace=QUOTA) == changed, "a sidecar that is there keeps its resources"


@pytest.mark.parametrize(
    ("own", "left"),
    [
        ({"requests": {"cpu": "1"}}, {"requests": {"memory": "48Mi"}, "limits": {"memory": "96Mi"}}),
        ({"limits": {"memory": "64Mi"}}, {"requests": {"cpu": "20m"}}),
        ({"requests": {"cpu": "1"}, "limits": {"memory": "64Mi"}}, {}),
        (None, USUAL),
    ],
)
def test_pod_level_resources_are_shared(own: dict[str, Any] | None, left: dict[str, Any]) -> None:
    """The pod's own sums hold for the sidecar, too, unless its annotations give that a part."""
    assert resources(pod(spec={"resources": own})) == left
    shared = pod(None, {"resources": {"limits": {"cpu": "2", "memory": "1Gi"}}}, **ALL)
    assert resources(shared) == resources(pod(None, None, **ALL))
    nothing = injected(pod(spec={"resources": {"limits": {"cpu": "2"}}}), namespace=QUOTA)
    assert "cpu" not in nothing["spec"]["initContainers"][0]["resources"]["requests"]


@pytest.mark.parametrize(
    ("given", "namespace", "sentence"),
    [
        ({"cpu_limit": "lots"}, {}, "leasehold.dev/cpu-limit is 'lots': use an amount such as 50m or 96Mi, or none"),
        ({"cpu_request": "1e999999999"}, {}, "use an amount such as"),
        ({"memory_request": "200Mi"}, {}, "memory request is 200Mi, above its limit of 96Mi: set leasehold.dev/mem"),
        ({"memory_limit": "1M"}, {}, "memory request is 48Mi, above its limit of 1M"),
        ({}, {"leasehold.dev/cpu-limit": "10m"}, "cpu request is 20m, above its limit of 10m"),
        (
            {},
            {"leasehold.dev/cpu-limit": ""},
            "its namespace's annotation leasehold.dev/cpu-limit is '': use an amount",
        ),
        ({"cpu_limits": "1"}, {}, "did you mean leasehold.dev/cpu-limit?"),
    ],
)
def test_wrong_amounts_are_refused(given: dict[str, str], namespace: dict[str, str], sentence: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        injected(pod(None, None, **given), namespace=namespace)
    assert sentence in str(refused.value)


def test_secrets_to_pull_its_image() -> None:
    """They are added to the pod's own, once."""
    private = replace(SIDECAR, pull_secrets=("registry", "mine"))
    changed = injected(pod(), private)
    assert changed["spec"]["imagePullSecrets"] == [{"name": "registry"}, {"name": "mine"}]
    own = injected(pod(spec={"imagePullSecrets": [{"name": "mine"}]}), private)
    assert own["spec"]["imagePullSecrets"] == [{"name": "mine"}, {"name": "registry"}]
    assert injected(own, private) == own


def test_user_of_the_platform() -> None:
    changed = injected(pod(), replace(SIDECAR, fixed_user=False))
    context = changed["spec"]["initContainers"][0]["securityContext"]
    assert context["runAsNonRoot"]
    assert not {"runAsUser", "runAsGroup"} & set(context)
