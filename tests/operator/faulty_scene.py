"""An operator at a control plane that is harmed, and what must have been caught up with when that is over."""

import contextlib
from collections.abc import Callable

from tests.cluster import ApiError
from tests.operator.lock_objects import lock
from tests.operator.operator_scene import Scene
from tests.servers import Proxy, wait_for
from tests.support.sidecars import PATIENCE

CHURNED = ("changed", "going", "gone")
"""The Locks that `churn` changes, deletes, and deletes for good."""


class Faulty(Scene):
    """An operator at a control plane of the test's own, which it reaches by `line` alone."""

    line: Proxy

    def remove_for_good(self, name: str) -> None:
        """Delete a Lock without waiting for its operator to let it go. Deleted, it can be given no finalizer again."""
        self.api.delete("locks", name, self.namespace)
        with contextlib.suppress(ApiError):  # an operator that sees it may have been faster
            self.api.patch("locks", name, {"metadata": {"finalizers": None}}, self.namespace)
        assert self.api.get("locks", name, self.namespace) is None

    def wait_undeclared(self, name: str) -> None:
        """Return when nothing declares the lock in etcd any more."""
        wait_for(lambda: self.spec(name) == {}, f"{name} to be declared no longer", PATIENCE)

    def churn(self) -> None:
        """Change, create and delete, two ways, while the operator sees nothing of it."""
        self.change("changed", leaseDurationSeconds=9)
        self.api.create("locks", lock("new", leaseDurationSeconds=9), self.namespace)
        self.api.delete("locks", "going", self.namespace)
        self.remove_for_good("gone")

    def wait_churned(self) -> None:
        """Return when all of `churn` has been carried out."""
        for name in ("changed", "new"):
            assert self.wait_ready(name)["spec"]["leaseDurationSeconds"] == 9
            self.wait_spec(name, leaseDurationSeconds=9)
        self.api.wait_gone("locks", "going", self.namespace)
        for name in ("going", "gone"):
            self.wait_undeclared(name)

    def check_outage(self, harm: Callable[[], None], mend: Callable[[], None]) -> None:
        """While the API server is harmed, a lock changes hands in etcd. All is caught up with when it is over."""
        for name in CHURNED:
            self.declare(name)
        holder = self.sidecar("changed-0", "changed")
        holder.wait_leading()
        self.wait_held("changed-0", name="changed")
        failures = self.operator.errors("api")
        harm()
        holder.terminate()
        self.sidecar("changed-1", "changed").wait_leading()
        wait_for(lambda: self.operator.errors("api") > failures, "a call to fail", PATIENCE)
        assert self.operator.is_live()
        mend()
        self.wait_held("changed-1", name="changed")
        self.churn()
        self.wait_churned()
        assert self.operator.errors() == 0
