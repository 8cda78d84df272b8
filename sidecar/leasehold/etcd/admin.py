"""etcd's users, roles and space, for the parts of Leasehold that administer them.

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
from leasehold.etcd.rpc_pb2 import StatusRequest

_USER_EXISTS: Final = "etcdserver: user name already exists"
_NO_USER: Final = "etcdserver: user name not found"
_NO_ROLE: Final = "etcdserver: role name not found"
_NOT_GRANTED: Final = "etcdserver: role is not granted to the user"
_NOT_PERMITTED: Final = "etcdserver: permission is not granted to the role"

_ENABLE: Final = Method("/etcdserverpb.Auth/AuthEnable", pb.AuthEnableRequest, pb.AuthEnableResponse)
_STATUS: Final = Method("/etcdserverpb.Auth/AuthStatus", pb.AuthStatusRequest, pb.AuthStatusResponse)
_USER_ADD: Final = Method("/etcdserverpb.Auth/UserAdd", pb.AuthUserAddRequest, pb.AuthUserAddResponse)
_USER_CHANGE_PASSWORD: Final = Method(
    "/etcdserverpb.Auth/UserChangePassword", pb.AuthUserChangePasswordRequest, pb.AuthUserChangePasswordResponse
)
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
_MEMBER_STATUS: Final = Method("/etcdserverpb.Maintenance/Status", StatusRequest, pb.MemberStatusResponse)
_ALARM: Final = Method("/etcdserverpb.Maintenance/Alarm", pb.AlarmRequest, pb.AlarmResponse)
_DEFRAGMENT: Final = Method(
    "/etcdserverpb.Maintenance/Defragment", pb.DefragmentRequest, pb.DefragmentResponse, has_header=False
)
_COMPACT: Final = Method("/etcdserverpb.KV/Compact", pb.CompactionRequest, pb.CompactionResponse)
_COMPACTED: Final = "etcdserver: mvcc: required revision has been compacted"


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """A member's own state. Sizes are in bytes; `quota` is 0 before etcd 3.6, `leader` 0 when it knows none.

    `behind`: how many entries of the log it has not applied yet.
    """

    id: int
    revision: int
    version: str
    leader: int
    size: int
    in_use: int
    quota: int
    behind: int


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
        await _unless(_USER_EXISTS, self._session.call(_USER_ADD, request, None))

    async def add_user_with(self, user: str, password: str) -> None:
        """Add a user with this password; one that exists gets it."""
        try:
            await self._session.call(_USER_ADD, pb.AuthUserAddRequest(name=user, password=password), None)
        except Refused as error:
            if error.message != _USER_EXISTS:
                raise
            await self.change_password(user, password)

    async def change_password(self, user: str, password: str) -> None:
        """Give a user another password; its tokens are void."""
        request = pb.AuthUserChangePasswordRequest(name=user, password=password)
        await self._session.call(_USER_CHANGE_PASSWORD, request, None)

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

    # --- space ---------------------------------------------------------------------------------------------------

    async def member_status(self, *, timeout: float) -> MemberStatus:
        """The state of the member at the other end."""
        answer, _ = await self._session.call(_MEMBER_STATUS, StatusRequest(), timeout)
        return MemberStatus(
            id=answer.header.member_id,
            revision=answer.header.revision,
            version=answer.version,
            leader=answer.leader,
            size=answer.dbSize,
            in_use=answer.dbSizeInUse,
            quota=answer.dbSizeQuota,
            behind=max(0, answer.raftIndex - answer.raftAppliedIndex),
        )

    async def alarms(self, *, timeout: float) -> frozenset[tuple[int, str]]:
        """All alarms: pairs of a member's id and NOSPACE or CORRUPT."""
        answer, _ = await self._session.call(_ALARM, pb.AlarmRequest(), timeout)
        return frozenset((each.memberID, pb.Alarm.Type.Name(each.alarm)) for each in answer.alarms)

    async def disarm(self, member: int, *, timeout: float) -> None:
        """End a member's NOSPACE alarm."""
        kind, action = pb.Alarm.NOSPACE, pb.AlarmRequest.DEACTIVATE
        request = pb.AlarmRequest(action=action, memberID=member, alarm=kind)
        await self._session.call(_ALARM, request, timeout)

    async def compact(self, revision: int, *, timeout: float) -> None:
        """Forget all that was before this revision, and wait until the member's disk has."""
        request = pb.CompactionRequest(revision=revision, physical=True)
        await _unless(_COMPACTED, self._session.call(_COMPACT, request, timeout))

    async def defragment(self, *, timeout: float) -> None:
        """Have the member at the other end give its file's free pages back; it answers nothing else meanwhile."""
        await self._session.call(_DEFRAGMENT, pb.DefragmentRequest(), timeout)


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
