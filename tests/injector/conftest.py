"""An API server with the chart's objects, and injectors that work with it."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.charts.rendered import NAMESPACE
from tests.cluster import ControlPlane
from tests.injector.injectors import NAME, Injector, Start, injector_objects


@pytest.fixture(scope="module")
def audited() -> Iterator[ControlPlane]:
    """An API server with what the chart gives the injector, and nothing that asks it."""
    with ControlPlane(name="injector", controllers=False, audit=True) as made:
        made.create("namespaces", {"metadata": {"name": NAMESPACE}})
        for each in injector_objects():
            if each["kind"] == "MutatingWebhookConfiguration":
                each["webhooks"][0]["objectSelector"] = {"matchLabels": {"nobody": "asks"}}
            made.apply(each, namespace=NAMESPACE)
        yield made


@pytest.fixture
def start(audited: ControlPlane) -> Iterator[Start]:
    """Starts an injector as the chart's service account, and waits until it is ready."""
    user = audited.service_account(NAME, NAMESPACE)
    with contextlib.ExitStack() as stack:

        def made(*flags: str, **more: Any) -> Injector:
            injector = Injector(audited, user, *flags, **more)
            stack.callback(injector.close)
            injector.start()
            injector.wait_ready()
            return injector

        yield made
