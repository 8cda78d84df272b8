"""What administrators do to etcd's users. Any change makes every token void, and each sidecar logs in again."""

from __future__ import annotations

from typing import ClassVar

from tests.nemesis.cluster_world import PASSWORD, PATIENCE, USER
from tests.nemesis.etcd_gateway import Unanswered
from tests.nemesis.faults.base import Fault
from tests.servers import wait_for

ROLE = "candidate"
"""The role that lets the sidecars' user write below the root."""


class _OnUsers(Fault):
    """A change of users."""

    def unavailable(self) -> str:
        return "" if self.world.shape.with_users else "this world's etcd asks nobody for a password"


class ChangeUsers(_OnUsers):
    """A user or role is added, or the sidecars' own password is set again: once, or several times in a row."""

    name: ClassVar = "change-users"

    def inject(self) -> None:
        for _ in range(self.rng.choice([1, 1, 4])):
            what, fields = self.rng.choice(self._changes())
            self.world.say(f"{self.name}: {what}")
            self.world.gateway.persist(f"/v3/auth/{what}", fields)

    def _changes(self) -> list[tuple[str, dict[str, object]]]:
        fresh = f"u{self.rng.randrange(10**9)}"
        return [
            ("user/add", {"name": fresh, "password": "another"}),
            ("role/add", {"name": fresh}),
            ("user/changepw", {"name": USER, "password": PASSWORD}),
        ]

    def heal(self) -> None:
        """Nothing is broken."""


class TakeRights(_OnUsers):
    """The sidecars' user may write nothing any more, for a while."""

    name: ClassVar = "take-rights"

    def inject(self) -> None:
        self.world.say(self.name)
        self.world.gateway.persist("/v3/auth/user/revoke", {"name": USER, "role": ROLE})

    def heal(self) -> None:
        wait_for(self._granted, f"{USER} to have its rights again", PATIENCE)

    def _granted(self) -> bool:
        gateway = self.world.gateway
        try:
            if ROLE not in gateway.persist("/v3/auth/user/get", {"name": USER})[0].get("roles", []):
                gateway.persist("/v3/auth/user/grant", {"user": USER, "role": ROLE})
        except Unanswered:
            return False
        return True


USER_FAULTS: tuple[type[Fault], ...] = (ChangeUsers, TakeRights)
