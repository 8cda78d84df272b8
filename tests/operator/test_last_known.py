"""After an uninstall the Locks' statuses say that they are the last known; the next operator corrects them."""

import subprocess
from collections.abc import Callable
from typing import Any

from leasehold.base import clock
from leasehold.kube.access import Access
from leasehold.kube.call import KubeCall
from leasehold.kube.job import CALL_TIMEOUT_SECONDS
from leasehold.operator.last_known import mark_all
from tests.cluster import ControlPlane
from tests.operator.kubectl_plugin import Plugin, holder, status_of
from tests.operator.operator_process import Operator
from tests.servers import PATIENCE, wait_for


async def mark(api: ControlPlane) -> bool:
    call = KubeCall(await Access.load(api.kubeconfig()), CALL_TIMEOUT_SECONDS)
    try:
        return await mark_all(call, clock.now)
    finally:
        await call.close()


def column(plugin: Plugin, name: str) -> str:
    """What `kubectl get locks` shows as HELD."""
    words, environ = plugin.command("get", "lock", name), plugin.environ()
    printed = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    return printed.splitlines()[1].split()[1]


async def test_held_is_unknown_after_an_uninstall(plugin: Plugin) -> None:
    """What was known stays, with its age."""
    plugin.make("led", status_of(holder("a", 5)))
    assert column(plugin, "led") == "True"
    assert await mark(plugin.api)
    assert column(plugin, "led") == "Unknown"
    led = plugin.api.get("locks", "led", plugin.namespace)
    assert led is not None
    conditions: dict[str, Any] = {one["type"]: one for one in led["status"]["conditions"]}
    assert "the last known, from 2" in conditions["Held"]["message"]
    assert led["status"]["holderIdentity"] == "a"
    assert await mark(plugin.api)
    assert plugin.api.get("locks", "led", plugin.namespace) == led


async def test_an_operator_that_comes_back_corrects_it(
    plugin: Plugin, operator_factory: Callable[..., Operator]
) -> None:
    plugin.make("db")
    first = operator_factory("first")
    wait_for(lambda: column(plugin, "db") == "False", "the status to be written", PATIENCE)
    first.kill()
    assert await mark(plugin.api)
    assert column(plugin, "db") == "Unknown"
    operator_factory("next")
    wait_for(lambda: column(plugin, "db") == "False", "the next operator to correct the status", PATIENCE)
