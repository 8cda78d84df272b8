"""The admission policy against pods without a sidecar, off for a while: as before an installation."""

import contextlib
from collections.abc import Callable, Iterator

from tests.cluster import ControlPlane
from tests.operator.operator_manifest import is_refused_by_policy
from tests.servers import PATIENCE, wait_for

_BINDING = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/leasehold-sidecar"


@contextlib.contextmanager
def policy_off(api: ControlPlane, make: Callable[..., object]) -> Iterator[None]:
    """Nobody is refused within the context. `make(dryRun="All")` asks for what the policy refuses otherwise."""
    _set(api, "Warn")
    wait_for(lambda: not is_refused_by_policy(lambda: make(dryRun="All")), "the policy to be off", PATIENCE)
    try:
        yield
    finally:
        _set(api, "Deny")
        wait_for(lambda: is_refused_by_policy(lambda: make(dryRun="All")), "the policy to be on again", PATIENCE)


def _set(api: ControlPlane, action: str) -> None:
    change = {"spec": {"validationActions": [action]}}
    api.rest.call("PATCH", _BINDING, change, content_type="application/merge-patch+json")
