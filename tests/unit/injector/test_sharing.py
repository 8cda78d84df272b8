"""The sidecar's part of what its pod has for all its containers, and of what a LimitRange gave it."""

from typing import Any, Final

import pytest

from leasehold.injector.annotations import RequestRefused
from tests.unit.injector.pods import Pod, injected, pod

GIVEN = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "300m", "memory": "256Mi"}}
"""By a LimitRange, to each container that says nothing itself."""


def sidecar(own: dict[str, Any], given: dict[str, Any] = GIVEN, **annotations: str) -> dict[str, Any]:
    """The sidecar's resources at the second look, beside an app with 100m and 64Mi."""
    again = limited(own, given, **annotations)
    resources: dict[str, Any] = injected(again)["spec"]["initContainers"][0]["resources"]
    return resources


def limited(own: dict[str, Any], given: dict[str, Any], **annotations: str) -> Pod:
    """A pod with these resources of its own, once it is injected and the LimitRange has given the sidecar those."""
    app = {"name": "app", "image": "app:1", "resources": {"requests": GIVEN["requests"]}}
    made = injected(pod(None, {"containers": [app], "resources": own}, **annotations))
    has = made["spec"]["initContainers"][0]["resources"]
    for part, amounts in given.items():
        has[part] = {**amounts, **has.get(part, {})}
    return made


def test_requests_of_the_pod_leave_something() -> None:
    """Less than the LimitRange's is left: the sidecar gets that."""
    own = {"requests": {"cpu": "150m", "memory": "80Mi"}}
    assert sidecar(own)["requests"] == {"cpu": "50m", "memory": str(16 * 2**20)}
    assert sidecar(own)["limits"] == GIVEN["limits"]


def test_requests_of_the_pod_leave_nothing() -> None:
    """What the API server sets for a pod with limits alone is just what its containers request."""
    assert sidecar({"requests": {"cpu": "100m", "memory": "64Mi"}})["requests"] == {"cpu": "0m", "memory": "0"}


def test_enough_is_left() -> None:
    """Then the LimitRange's stays, which may have a minimum."""
    assert sidecar({"requests": {"cpu": "200m", "memory": "128Mi"}}) == GIVEN


def test_limit_above_the_pods() -> None:
    """No container may have a limit above its pod's."""
    own = {"requests": {"cpu": "150m", "memory": "512Mi"}, "limits": {"cpu": "150m", "memory": "1Gi"}}
    assert sidecar(own) == {
        "requests": {"cpu": "50m", "memory": "64Mi"},
        "limits": {"cpu": "150m", "memory": "256Mi"},
    }


def test_pod_with_limits_alone() -> None:
    """What its containers request is its own request, of which nothing is left."""
    assert sidecar({"limits": {"cpu": "1", "memory": "1Gi"}})["requests"] == {"cpu": "0m", "memory": "0"}


SMALL, LARGE = {"requests": {"cpu": "100m"}}, {"requests": {"cpu": "400m"}}
SET_UP: Final = {"name": "set-up", "resources": LARGE}
SIDECAR: Final = {"name": "beside", "restartPolicy": "Always", "resources": LARGE}


@pytest.mark.parametrize(
    ("own", "app", "before", "wanted"),
    [
        ({"limits": {"cpu": "1"}}, {}, [], {"cpu": "1"}),
        ({"limits": {"cpu": "1"}}, SMALL, [], {"cpu": "100m"}),
        ({"limits": {"memory": "1Gi"}}, SMALL, [], {"memory": "1Gi"}),
        ({"limits": {"cpu": "1"}}, SMALL, [SET_UP], {"cpu": "400m"}),
        ({"limits": {"cpu": "1"}}, {}, [SIDECAR], {"cpu": "400m"}),
        ({"limits": {"cpu": "1"}}, SMALL, [SET_UP, SIDECAR], {"cpu": "500m"}),
        ({"limits": {"cpu": "1"}}, SMALL, [SIDECAR, SET_UP], {"cpu": "800m"}),
        (
            {"limits": {"cpu": "1"}, "requests": {"cpu": "2m", "memory": "1Gi"}},
            SMALL,
            [],
            {"cpu": "2m", "memory": "1Gi"},
        ),
        ({"limits": {"cpu": "1"}, "requests": {"memory": "1Gi"}}, SMALL, [], {"cpu": "100m", "memory": "1Gi"}),
        ({"requests": {"memory": "1Gi"}}, SMALL, [], {"memory": "1Gi"}),
        ({"limits": {}}, SMALL, [], None),
        ({"limits": {"cpu": "4"}}, {"limits": {"cpu": "100m"}}, [], {"cpu": "100m"}),
        ({"limits": {"cpu": "4"}}, {"requests": {"cpu": "+1"}}, [], {"cpu": "1000m"}),
        ({"limits": {"cpu": "4"}}, {"requests": {"cpu": "2."}}, [], {"cpu": "2000m"}),
        ({"limits": {"cpu": "4"}}, {"requests": {"cpu": "1.234"}}, [], {"cpu": "1234m"}),
        ({"limits": {"memory": "1Gi"}}, {"requests": {"memory": "1500m"}}, [], {"memory": "1500m"}),
    ],
)
def test_own_requests_are_written_down(
    own: dict[str, Any], app: dict[str, Any], before: list[dict[str, Any]], wanted: dict[str, str] | None
) -> None:
    """They are what they would be without a sidecar, whenever the API server reckons them."""
    containers = [{"name": "app", "image": "app:1", "resources": app}]
    made = injected(pod(None, {"containers": containers, "initContainers": before, "resources": own}))
    assert made["spec"]["resources"].get("requests") == wanted


@pytest.mark.parametrize(
    ("own", "app", "before", "wanted"),
    [
        ({"requests": {"cpu": "1"}}, {"limits": {"cpu": "300m"}}, [], {"cpu": "1000m"}),
        ({"requests": {"cpu": "200m"}}, {"limits": {"cpu": "300m"}}, [], {"cpu": "300m"}),
        ({"requests": {"cpu": "200m"}}, {"limits": {"cpu": "300m"}}, [{"limits": {"cpu": "400m"}}], {"cpu": "400m"}),
        ({"requests": {"cpu": "200m", "memory": "1Gi"}}, {"limits": {"cpu": "300m"}}, [], {"cpu": "300m"}),
        (
            {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
            {"limits": {"cpu": "2"}},
            [],
            {"memory": "1Gi", "cpu": "2000m"},
        ),
        ({"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}, {"limits": {"cpu": "300m"}}, [], {"cpu": "2"}),
        ({"requests": {"cpu": "1"}}, {}, [], None),
        ({"requests": {"cpu": "1"}}, {"limits": {"cpu": "300m"}}, [{}], None),
        ({"requests": {"memory": "1Gi"}}, {"limits": {"cpu": "300m"}}, [], None),
    ],
)
def test_own_limits_are_written_down(
    own: dict[str, Any], app: dict[str, Any], before: list[dict[str, Any]], wanted: dict[str, str] | None
) -> None:
    """Where all containers have a limit but the sidecar: a pod that was Guaranteed stays that."""
    containers = [{"name": "app", "image": "app:1", "resources": app}]
    inits = [{"name": f"init-{number}", "resources": each} for number, each in enumerate(before)]
    made = injected(pod(None, {"containers": containers, "initContainers": inits, "resources": own}))
    assert made["spec"]["resources"].get("limits") == wanted
    assert injected(made) == made


def test_a_limit_of_its_own_counts_for_the_pod_too() -> None:
    """Then the API server finds that all containers have one, and adds them up itself."""
    containers = [{"name": "app", "image": "app:1", "resources": {"limits": {"cpu": "300m"}}}]
    made = injected(pod(None, {"containers": containers, "resources": {"requests": {"cpu": "1"}}}, cpu_limit="100m"))
    assert made["spec"]["resources"] == {"requests": {"cpu": "1"}}


@pytest.mark.parametrize(
    ("requests", "wanted"),
    [("1", None), ("150m", "50m"), ("100m", "0m")],
    ids=["room for the limit", "some room", "no room"],
)
def test_limit_of_an_annotation_implies_no_request(requests: str, wanted: str | None) -> None:
    """The API server would make the limit the request, without another look at the pod, and refuse that."""
    for asked in ({}, {"cpu_request": "none"}):
        made = limited({"requests": {"cpu": requests}}, {}, cpu_limit="200m", **asked)
        has = made["spec"]["initContainers"][0]["resources"]
        assert (has["requests"].get("cpu"), has["limits"]["cpu"]) == (wanted, "200m")
        assert injected(made, namespace={"leasehold.dev/memory-request": "50Mi"}) == made


def test_request_above_a_limit_that_was_given() -> None:
    """The injector's own request, where the LimitRange's default limit is smaller."""
    assert sidecar({}, {"limits": {"cpu": "10m"}})["requests"] == {"cpu": "10m", "memory": "48Mi"}


def test_init_containers_need_theirs_before() -> None:
    """An init container runs beside the sidecar, but not beside the app."""
    app = {"name": "app", "image": "app:1", "resources": {"requests": GIVEN["requests"]}}
    migrate = {"name": "migrate", "image": "app:1", "resources": {"requests": {"cpu": "950m"}}}
    spec = {"initContainers": [migrate], "containers": [app], "resources": {"requests": {"cpu": "1"}}}
    again = injected(pod(spec=spec))
    again["spec"]["initContainers"][0]["resources"] = GIVEN
    assert injected(again)["spec"]["initContainers"][0]["resources"]["requests"]["cpu"] == "50m"


def test_annotations_are_never_lowered() -> None:
    """The pod's author asked for it; what was given beside it is lowered all the same."""
    kept = sidecar({"requests": {"cpu": "200m"}, "limits": {"cpu": "200m"}}, cpu_request="90m", cpu_limit="150m")
    assert (kept["requests"]["cpu"], kept["limits"]["cpu"]) == ("90m", "150m")


@pytest.mark.parametrize(
    ("annotations", "sentence"),
    [
        ({"cpu_request": "60m"}, "cpu-request is 60m, but the pod's own requests leave 50m of cpu for its sidecar"),
        ({"memory_limit": "2Gi"}, "memory-limit is 2Gi, above the 1Gi that the pod has for all its containers"),
    ],
    ids=["request", "limit"],
)
def test_annotation_that_the_pod_has_no_room_for(annotations: dict[str, str], sentence: str) -> None:
    """A sentence names the annotation, and what to change."""
    with pytest.raises(RequestRefused, match=sentence):
        limited({"requests": {"cpu": "150m"}, "limits": {"memory": "1Gi"}}, {}, **annotations)


@pytest.mark.parametrize("limit", [str(2**63 - 4096), "8Ei", "1e99", "1" + 30 * "0"])
def test_limit_that_means_none(limit: str) -> None:
    """The API server takes more than 64 bits hold of thousandths: none of it is less than what the sidecar has."""
    own = {"limits": {"memory": limit}, "requests": {"memory": "1Gi"}}
    assert sidecar(own, memory_limit="1Gi")["limits"] == {"cpu": "300m", "memory": "1Gi"}
    assert sidecar(own)["limits"] == GIVEN["limits"]
    assert sidecar({}, {"limits": {"memory": limit}}, memory_limit="1Gi")["requests"]["memory"] == "48Mi"


def test_less_than_a_thousandth_has_no_room() -> None:
    """The API server rounds it up."""
    with pytest.raises(RequestRefused, match="cpu-request is 100u, but the pod's own requests leave 0m of cpu"):
        limited({"requests": {"cpu": "100m"}}, {}, cpu_request="100u")


def test_containers_of_a_template_request_their_limits() -> None:
    """A workload's template says no more than its author wrote; its pods will request what their limits are."""
    app = {"name": "app", "image": "app:1", "resources": {"limits": {"cpu": "100m"}}}
    with pytest.raises(RequestRefused, match="cpu-request is 60m, but the pod's own requests leave 50m of cpu"):
        injected(pod(None, {"containers": [app], "resources": {"requests": {"cpu": "150m"}}}, cpu_request="60m"))


def test_none_is_no_request() -> None:
    """An annotation that takes a request away asks for nothing."""
    assert sidecar({"requests": {"cpu": "150m"}}, cpu_request="none")["requests"]["cpu"] == "50m"


def test_second_look_changes_nothing_else() -> None:
    """A pod without a LimitRange, or whose shares fit, is left as it is."""
    again = limited({"requests": {"cpu": "2", "memory": "2Gi"}}, {})
    assert injected(again) == again


@pytest.mark.parametrize("amount", ["-1", "+", "none"])
def test_amount_that_is_none(amount: str) -> None:
    """It is left to the API server, which refuses the pod."""
    app = {"name": "app", "image": "app:1", "resources": {"requests": {"cpu": amount}}}
    given = pod(None, {"containers": [app], "resources": {"requests": {"cpu": "1"}}}, cpu_request="1m")
    assert injected(given)["spec"]["initContainers"][0]["resources"]["requests"]["cpu"] == "1m"
