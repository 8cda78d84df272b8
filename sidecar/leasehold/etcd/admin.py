"""etcd's users and roles, for the one part of Leasehold that administers them.

Every call is idempotent: a user that exists already counts as added, one that does not exist as deleted. So a caller
whose call had no answer may simply make it again. All of them need a user with the role `root` once authentication is
on. There is no call that turns authentication off: nothing here ever does.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from leasehold.base.records import dataclass
from leasehold.etcd import admin_pb2 as pb
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import Refused
from leasehold.etcd.methods import Method
from leasehold.etcd.model import Delete

_NO_USER: Final = "etcdserver: user name not found"
_NO_ROLE: Final = "etcdserver: role name not found"
_NOT_GRANTED: Final = "etcdserver: role is not granted to the user"
_NOT_PERMITTED: Final = "etcdserver: permission is not granted to the role"

_ENABLE: Final = Method("/etcdserverpb.Auth/AuthEnable", pb.AuthEnableRequest, pb.AuthEnableResponse)
_STATUS: Final = Method("/etcdserverpb.Auth/AuthStatus", pb.AuthStatusRequest, pb.AuthStatusResponse)
_USER_ADD: Final = Method("/etcdserverpb.Auth/UserAdd", pb.AuthUserAddRequest, pb.AuthUserAddResponse)
_USER_GET: Final = Method("/etcdserverpb.Auth/UserGet", pb.AuthUserGetRequest, pb.AuthUserGetResponse)
_USER_LIST: Final = Method("/etcdserverpb.Auth/UserList", pb.AuthUserListRequest, pb.AuthUserListResponse)
_USER_DELETE: Final = Method("/etcdserverpb.Auth/UserDelete", pb.AuthUserDeleteRequest, pb.AuthUserDeleteResponse)
_USER_GRANT: Final = Method(
    "/etcdserverpb.Auth/UserGrantRole", pb.AuthUserGrantRoleRequest, pb.AuthUserGrantRoleResponse
)
_USER_REVOKE: Final = Method(
    "/etcdserverpb.Auth/UserRevokeRole", pb.AuthUserRevokeRoleRequest, pb.AuthUserRevokeRoleResponse
)
_ROLE_ADD: Final = Method("/etcdserverpb.Auth/RoleAdd", pb.AuthRoleAddRequest, pb.AuthRoleAddResponse)
_ROLE_GET: Final = Method("/etcdserverpb.Auth/RoleGet", pb.AuthRoleGetRequest, pb.AuthRoleGetResponse)
_ROLE_LIST: Final = Method("/etcdserverpb.Auth/RoleList", pb.AuthRoleListRequest, pb.AuthRoleListResponse)
_ROLE_DELETE: Final = Method("/etcdserverpb.Auth/RoleDelete", pb.AuthRoleDeleteRequest, pb.AuthRoleDeleteResponse)
_ROLE_GRANT: Final = Method(
    "/etcdserverpb.Auth/RoleGrantPermission", pb.AuthRoleGrantPermissionRequest, pb.AuthRoleGrantPermissionResponse
)
_ROLE_REVOKE: Final = Method(
    "/etcdserverpb.Auth/RoleRevokePermission", pb.AuthRoleRevokePermissionRequest, pb.AuthRoleRevokePermissionResponse
)


@dataclass(frozen=True, slots=True)
class Permission:
    """What a role may do with the keys from `key` up to `end`, or with `key` alone if `end` is empty."""

    key: bytes
    end: bytes
    read: bool = True
    write: bool = True


class AdminClient(EtcdClient):
    """An EtcdClient that can also administer users. Raises EtcdError, as every call of a client does."""

    async def auth_enabled(self) -> bool:
        """Whether etcd asks for a user."""
        answer, _ = await self._session.call(_STATUS, pb.AuthStatusRequest(), None)
        return answer.enabled

    async def enable_auth(self) -> None:
        """Ask for a user from now on. Refused if there is no user `root` with the role `root`."""
        await self._session.call(_ENABLE, pb.AuthEnableRequest(), None)

    async def users(self) -> frozenset[str]:
        """The names of all users."""
        answer, _ = await self._session.call(_USER_LIST, pb.AuthUserListRequest(), None)
        return frozenset(answer.users)

    async def roles_of(self, user: str) -> frozenset[str] | None:
        """The user's roles; None if there is no such user."""
        try:
            answer, _ = await self._session.call(_USER_GET, pb.AuthUserGetRequest(name=user), None)
        except Refused as error:
            if error.message != _NO_USER:
                raise
            return None
        return frozenset(answer.roles)

    async def add_user(self, user: str) -> None:
        """Add a user without password, who comes by a client certificate with this common name."""
        request = pb.AuthUserAddRequest(name=user, options=pb.UserAddOptions(no_password=True))
        await _unless("etcdserver: user name already exists", self._session.call(_USER_ADD, request, None))

    async def delete_user(self, user: str) -> None:
        """Delete a user. etcd refuses what it asks for from now on, on open connections, too."""
        await _unless(_NO_USER, self._session.call(_USER_DELETE, pb.AuthUserDeleteRequest(name=user), None))

    async def grant_role(self, user: str, role: str) -> None:
        """Give a user this role."""
        await self._session.call(_USER_GRANT, pb.AuthUserGrantRoleRequest(user=user, role=role), None)

    async def revoke_role(self, user: str, role: str) -> None:
        """Take this role from a user."""
        request = pb.AuthUserRevokeRoleRequest(name=user, role=role)
        await _unless(_NOT_GRANTED, self._session.call(_USER_REVOKE, request, None))

    async def roles(self) -> frozenset[str]:
        """The names of all roles."""
        answer, _ = await self._session.call(_ROLE_LIST, pb.AuthRoleListRequest(), None)
        return frozenset(answer.roles)

    async def permissions_of(self, role: str) -> frozenset[Permission] | None:
        """The role's permissions; None if there is no such role."""
        try:
            answer, _ = await self._session.call(_ROLE_GET, pb.AuthRoleGetRequest(role=role), None)
        except Refused as error:
            if error.message != _NO_ROLE:
                raise
            return None
        return frozenset(_permission(each) for each in answer.perm)

    async def add_role(self, role: str) -> None:
        """Add a role without permissions."""
        request = pb.AuthRoleAddRequest(name=role)
        await _unless("etcdserver: role name already exists", self._session.call(_ROLE_ADD, request, None))

    async def delete_role(self, role: str) -> None:
        """Delete a role."""
        await _unless(_NO_ROLE, self._session.call(_ROLE_DELETE, pb.AuthRoleDeleteRequest(role=role), None))

    async def permit(self, role: str, key: bytes, end: bytes) -> None:
        """Let a role read and write the keys from `key` up to `end`."""
        allowed = pb.Permission(permType=pb.Permission.READWRITE, key=key, range_end=end)
        await self._session.call(_ROLE_GRANT, pb.AuthRoleGrantPermissionRequest(name=role, perm=allowed), None)

    async def forbid(self, role: str, permission: Permission) -> None:
        """Take this permission from a role."""
        request = pb.AuthRoleRevokePermissionRequest(role=role, key=permission.key, range_end=permission.end)
        await _unless(_NOT_PERMITTED, self._session.call(_ROLE_REVOKE, request, None))

    async def delete(self, key: str) -> None:
        """Delete one key, if it exists."""
        await self.txn(success=(Delete(key),))


async def _unless(done: str, call: Awaitable[object]) -> None:
    """Make a call; etcd's answer `done` says that nothing is left to do."""
    try:
        await call
    except Refused as error:
        if error.message != done:
            raise


def _permission(found: pb.Permission) -> Permission:
    kind = found.permType
    reads = kind in (pb.Permission.READ, pb.Permission.READWRITE)
    return Permission(found.key, found.range_end, reads, kind != pb.Permission.READ)
