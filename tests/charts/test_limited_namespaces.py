"""Pods with resources of their own in namespaces with a LimitRange: what is taken without a sidecar is taken with one.

On a real API server, which gives containers a LimitRange's defaults before the injection and after it, both by the
policy and by the webhook.
"""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from leasehold.injector.resources import quantity
from tests.bench.admission import LABEL, MODES, configuration, injector
from tests.charts.test_policy import answer
from tests.cluster import ApiError, ControlPlane
from tests.servers import wait_for

SMALL: Final = {"cpu": "100m", "memory": "64Mi"}
MIDDLE: Final = {"cpu": "300m", "memory": "256Mi"}
USUAL: Final = [{"type": "Container", "default": MIDDLE, "defaultRequest": SMALL}]
Amounts = dict[str, dict[str, str]]
Object = dict[str, Any]


@pytest.fixture(scope="module")
def api() -> Iterator[ControlPlane]:
    """An API server with both, each for pods with a label of its own."""
    with ControlPlane(name="limited") as made, injector(made) as (port, _):
        for each in configuration(made, port):
            made.apply(each)
        own = namespace(made, [])
        for mode in MODES:
            wait_for(lambda: "initContainers" in str(create(made, own, labelled({}, {}, mode))), f"the {mode}")  # noqa: B023  # it is called before the next one's turn
        yield made


def namespace(api: ControlPlane, limits: list[Object]) -> str:
    """With a LimitRange, whose admission plugin remembers for half a minute that a namespace has none."""
    own = api.make_namespace()
    limit_range = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "range"}, "spec": {"limits": limits}}
    api.apply({"apiVersion": "leasehold.dev/v1alpha1", "kind": "Lock", "metadata": {"name": "reports"}}, namespace=own)
    if limits:
        api.apply(limit_range, namespace=own)
    return own


def labelled(own: Amounts, app: Amounts, mode: str = "", **annotations: str) -> Object:
    spec: Object = {"containers": [{"name": "app", "image": "none", "resources": app}]}
    if own:
        spec["resources"] = own
    asked = {"leasehold.dev/lock": "reports", "leasehold.dev/app-health": ":8080/healthz"}
    asked |= {f"leasehold.dev/{name.replace('_', '-')}": text for name, text in annotations.items()}
    metadata: Object = {"name": "one"}
    if mode:
        metadata |= {"labels": {"leasehold.dev/inject": "true", LABEL: mode}, "annotations": asked}
    return {"metadata": metadata, "spec": spec}


def create(api: ControlPlane, own: str, pod: Object) -> Object | str:
    """What the API server makes of it, by dry run; or its words, if it refuses it."""
    try:
        made: Object = api.rest.call(
            "POST", f"/api/v1/namespaces/{own}/pods?dryRun=All", {"apiVersion": "v1", "kind": "Pod", **pod}
        )
    except ApiError as error:
        return str(error)
    return made


def shares(api: ControlPlane, limits: list[Object], own: Amounts, app: Amounts) -> Amounts:
    """The sidecar's resources, the same in both modes, of a pod that the API server takes without a sidecar."""
    there = namespace(api, limits)
    wait_for(lambda: answer(api, there, labelled(own, app)) == "", "a pod without a sidecar")
    made = [create(api, there, labelled(own, app, mode)) for mode in MODES]
    assert not [each for each in made if isinstance(each, str)]
    one, other = (each["spec"]["initContainers"][0]["resources"] for each in made if not isinstance(each, str))
    assert one == other
    found: Amounts = one
    return found


@pytest.mark.parametrize(
    ("own", "app", "wanted"),
    [
        ({"requests": {"cpu": "1", "memory": "1Gi"}}, {}, {"requests": SMALL, "limits": MIDDLE}),
        ({"requests": SMALL}, {}, {"requests": {"cpu": "0", "memory": "0"}, "limits": MIDDLE}),
        (
            {"requests": {"cpu": "150m", "memory": "80Mi"}},
            {},
            {"requests": {"cpu": "50m", "memory": "16777216"}, "limits": MIDDLE},
        ),
        (
            {"limits": SMALL},
            {"limits": {"cpu": "80m", "memory": "64Mi"}},
            {"requests": {"cpu": "0", "memory": "0"}, "limits": SMALL},
        ),
        (
            {"requests": {"cpu": "100m"}},
            {},
            {"requests": {"cpu": "0", "memory": "48Mi"}, "limits": {"cpu": "300m", "memory": "96Mi"}},
        ),
        (
            {"limits": {"memory": "256Mi"}},
            {},
            {"requests": {"cpu": "20m", "memory": "0"}, "limits": {"cpu": "300m", "memory": "256Mi"}},
        ),
    ],
    ids=["room", "no room", "some room", "limits", "cpu alone", "memory alone"],
)
def test_defaults_of_a_limit_range(api: ControlPlane, own: Amounts, app: Amounts, wanted: Amounts) -> None:
    """They are lowered to what the pod has left for one container more."""
    found = shares(api, USUAL, own, app)
    assert {part: dict(found[part]) for part in wanted} == wanted


SET_UP: Final = {"name": "set-up", "image": "none", "resources": {"requests": MIDDLE}}
BESIDE: Final = {**SET_UP, "name": "beside", "restartPolicy": "Always"}


ODD: Final = {"cpu": "+100m", "memory": "1500m"}
"""An API server leaves both as they are."""


@pytest.mark.parametrize(
    "app",
    [{}, {"requests": SMALL}, {"limits": SMALL}, {"requests": ODD}],
    ids=["nothing", "requests", "limits", "odd requests"],
)
@pytest.mark.parametrize("before", [[], [SET_UP, BESIDE], [BESIDE, SET_UP]], ids=["", "sidecar last", "sidecar first"])
@pytest.mark.parametrize("limits", [[], USUAL], ids=["", "limit range"])
def test_own_requests_stay(api: ControlPlane, limits: list[Object], before: list[Object], app: Amounts) -> None:
    """A pod with limits alone is given requests; they are the same with a sidecar, even if that asks for some."""
    own, there = {"limits": {"cpu": "1", "memory": "1Gi"}}, namespace(api, limits)
    asked = {"cpu_request": "0", "memory_request": "0"}
    pods = [labelled(own, app), *(labelled(own, app, mode, **asked) for mode in MODES)]
    for each in pods:
        each["spec"]["initContainers"] = before
    made = [create(api, there, each) for each in pods]
    assert not [each for each in made if isinstance(each, str)]
    own_requests = [each["spec"]["resources"]["requests"] for each in made if not isinstance(each, str)]
    alone, *injected = ({name: quantity(text) for name, text in each.items()} for each in own_requests)
    assert injected == [alone, alone]


@pytest.mark.parametrize("requests", [MIDDLE, SMALL], ids=["more than the limits", "less than the limits"])
@pytest.mark.parametrize("limits", [[], USUAL], ids=["", "limit range"])
def test_own_limits_stay(api: ControlPlane, limits: list[Object], requests: dict[str, str]) -> None:
    """A pod with requests whose containers all have limits is Guaranteed, or has a limit, as without a sidecar."""
    there = namespace(api, limits)
    made = [create(api, there, labelled({"requests": requests}, {"limits": SMALL}, mode)) for mode in ("", *MODES)]
    assert not [each for each in made if isinstance(each, str)]
    pods = [each for each in made if not isinstance(each, str)]
    classes = [each["status"]["qosClass"] for each in pods]
    for name in SMALL:
        amounts = [quantity(each["spec"]["resources"]["limits"][name]) for each in pods]
        alone, *injected = zip(amounts, classes, strict=True)
        assert injected == [alone, alone]


def test_limit_of_an_annotation_alone(api: ControlPlane) -> None:
    """The sidecar's request is what the pod has left, and not its limit, as the API server would have it."""
    there = namespace(api, [])
    own, app = {"requests": {"cpu": "150m"}}, {"requests": {"cpu": "100m"}}
    made = [create(api, there, labelled(own, app, mode, cpu_limit="200m")) for mode in MODES]
    assert not [each for each in made if isinstance(each, str)]
    has = [each["spec"]["initContainers"][0]["resources"] for each in made if not isinstance(each, str)]
    assert [(each["requests"]["cpu"], each["limits"]["cpu"]) for each in has] == [("50m", "200m")] * 2


def test_minimum_that_has_room(api: ControlPlane) -> None:
    """A request that the LimitRange demands stays as it is."""
    limits = [{"type": "Container", "min": SMALL}]
    assert shares(api, limits, {"requests": MIDDLE}, {"requests": SMALL})["requests"] == SMALL


def test_maximum_is_the_limit(api: ControlPlane) -> None:
    """A maximum is a default, too, here above the pod's own limit."""
    limits = [{"type": "Container", "max": {"cpu": "1", "memory": "1Gi"}}]
    found = shares(api, limits, {"limits": MIDDLE}, {"limits": SMALL})
    assert found == {"requests": {"cpu": "0", "memory": "0"}, "limits": MIDDLE}


def test_limit_below_the_sidecars_request(api: ControlPlane) -> None:
    """No pod's own resources are needed for that."""
    limits = [{"type": "Container", "default": {"cpu": "10m"}}]
    found = shares(api, limits, {}, {})
    assert found == {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"cpu": "10m", "memory": "96Mi"}}


def test_pod_limits_are_of_the_pod(api: ControlPlane) -> None:
    """Those of a LimitRange for pods are judged by the pod's own resources, which the sidecar does not change."""
    limits = [{"type": "Pod", "max": MIDDLE, "maxLimitRequestRatio": {"cpu": "2"}}]
    found = shares(api, limits, {"requests": {"cpu": "150m", "memory": "256Mi"}, "limits": MIDDLE}, {"requests": SMALL})
    assert found == {}


@pytest.mark.parametrize("limit", [str(2**63 - 4096), "8Ei", "1e99"])
def test_limit_that_means_none(api: ControlPlane, limit: str) -> None:
    """It is more than fits into what the API server reckons with; nothing is lowered for its sake."""
    found = shares(api, USUAL, {"requests": MIDDLE, "limits": {"memory": limit}}, {"requests": SMALL})
    assert found == {"requests": SMALL, "limits": MIDDLE}


@pytest.mark.parametrize("mode", MODES)
def test_huge_limit_of_an_annotation(api: ControlPlane, mode: str) -> None:
    """The sidecar has it; its request stays."""
    made = create(api, namespace(api, []), labelled({}, {}, mode, memory_limit="1E"))
    assert not isinstance(made, str), made
    assert made["spec"]["initContainers"][0]["resources"]["requests"]["memory"] == "48Mi"


@pytest.mark.parametrize("mode", MODES)
def test_annotation_without_room(api: ControlPlane, mode: str) -> None:
    """It is said, in a sentence that names it."""
    there = namespace(api, USUAL)
    said = create(api, there, labelled({"requests": SMALL}, {}, mode, cpu_request="50m"))
    assert "leasehold.dev/cpu-request is 50m, but the pod's own requests leave 0m of cpu for its sidecar" in said
