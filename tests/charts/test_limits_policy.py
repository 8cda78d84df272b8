"""Whoever applies a workload is warned of what its namespace's LimitRange will refuse of the sidecar."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.charts.rendered import LEASEHOLD, objects, render, values
from tests.charts.test_advice_policy import bare_template, template_of, workload
from tests.charts.test_injection_policy import MAP, SETTINGS
from tests.cluster import ControlPlane, Object
from tests.servers import wait_for

NAME = "leasehold-limits"
SMALL = {"cpu": "100m"}


@pytest.fixture(scope="module")
def api() -> Iterator[ControlPlane]:
    """With the policy as both modes have it on an API server that could inject, and in force."""
    with ControlPlane(name="limits", crd=False) as made:
        rendered = {
            mode: [
                each
                for each in objects(render(LEASEHOLD, *values(**SETTINGS[0]), f"--set=injector.mode={mode}", served))
                if each["metadata"]["name"] == NAME
            ]
            for mode, served in (("policy", "--skip-tests"), ("webhook", f"--api-versions={MAP}"))
        }
        assert rendered["policy"] == rendered["webhook"]
        for each in rendered["policy"]:
            made.apply(each)
        own = limited(made, {"max": {"memory": "64Mi"}})
        wait_for(lambda: said(made, own, template_of("Deployment")), "the policy to be in force")
        yield made


def limited(api: ControlPlane, limit: Object) -> str:
    own = api.make_namespace()
    spec = {"limits": [{"type": "Container", **limit}]}
    api.apply({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "range"}, "spec": spec}, namespace=own)
    return own


def said(api: ControlPlane, own: str, template: dict[str, Any]) -> str:
    """What whoever applies a Deployment of it is told, by a dry run."""
    path = f"/apis/apps/v1/namespaces/{own}/deployments?dryRun=All&fieldValidation=Strict"
    api.rest.call("POST", path, workload("Deployment", template))
    return "\n".join(each for each in api.rest.warnings if f"'{NAME}'" in each)


def named(annotations: dict[str, str]) -> dict[str, str]:
    return {f"leasehold.dev/{name.replace('_', '-')}": text for name, text in annotations.items()}


def annotated(**annotations: str) -> dict[str, Any]:
    template = template_of("Deployment")
    template["metadata"]["annotations"] |= named(annotations)
    return template


@pytest.mark.parametrize(
    ("limit", "sentence", "annotations"),
    [
        (
            {"min": SMALL},
            "it wants a cpu request of at least 100m, and that of their sidecar is 20m: set the annotation "
            "leasehold.dev/cpu-request of the namespace, or of the pod template",
            {"cpu_request": "100m"},
        ),
        (
            {"max": {"memory": "64Mi"}},
            "a memory limit of at most 64Mi, and that of their sidecar is 96Mi",
            {"memory_limit": "64Mi"},
        ),
        (
            {"maxLimitRequestRatio": {"cpu": "4"}},
            "a cpu limit of at most 4 times the request, and their sidecar has none and 20m",
            {"cpu_limit": "80m"},
        ),
        (
            {"maxLimitRequestRatio": {"memory": "1"}},
            "a memory limit of at most 1 times the request, and their sidecar has 96Mi and 48Mi",
            {"memory_request": "96Mi"},
        ),
    ],
    ids=["min", "max", "no limit", "ratio"],
)
def test_what_a_limit_range_refuses(
    api: ControlPlane, limit: Object, sentence: str, annotations: dict[str, str]
) -> None:
    """It is told with the annotation that mends it, and not of a template, or namespace, that has it."""
    own = limited(api, limit)
    wait_for(lambda: sentence in said(api, own, annotated()), "the warning")
    assert said(api, own, annotated(**annotations)) == ""
    assert said(api, own, bare_template()) == ""
    api.patch("namespaces", own, {"metadata": {"annotations": named(annotations)}})
    wait_for(lambda: said(api, own, annotated()) == "", "the namespace's annotation to be known")


def test_pod_with_resources_of_its_own(api: ControlPlane) -> None:
    """It has the LimitRange's default request, which is its minimum, and for a ratio needs annotations of its own."""
    template = template_of("Deployment")
    template["spec"]["resources"] = {"requests": {"cpu": "1"}}
    minimum, ratio = limited(api, {"min": SMALL}), limited(api, {"maxLimitRequestRatio": {"cpu": "4"}})
    wait_for(lambda: "cpu request" in said(api, minimum, annotated()), "the warning")
    assert said(api, minimum, template) == ""
    wait_for(lambda: "-request of the pod template" in said(api, ratio, template), "the warning")


def test_default_that_is_enough(api: ControlPlane) -> None:
    """A limit that the LimitRange gives counts as the sidecar's."""
    own = limited(api, {"default": {"cpu": "50m"}, "maxLimitRequestRatio": {"cpu": "4"}, "max": {"memory": "64Mi"}})
    wait_for(lambda: "memory limit" in said(api, own, annotated()), "the warning")
    assert "cpu" not in said(api, own, annotated()).partition("it wants")[2]
