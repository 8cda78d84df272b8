"""The accounts in etcd: read, and changed one action at a time. A cache that follows its own changes.

A complete reading asks for every role of every user, and so finds what somebody changed by hand. A short one asks for
the names alone: what is missing or new is found at once, at the cost of two calls.
"""

from __future__ import annotations

import json
from typing import Final

from leasehold.etcd.admin import AdminClient, Permission
from leasehold.lock.json_fields import json_object
from leasehold.lock.keys import prefix_end
from leasehold.operator.enrolment import actions as do
from leasehold.operator.enrolment import model as m
from leasehold.operator.enrolment.names import NAMESPACE_PREFIX, record_key, records_prefix
from leasehold.operator.enrolment.parallel import in_parallel
from leasehold.operator.enrolment.password_plan import fingerprint

_PAGE_KEYS: Final = 500


class AccountStore:
    """Reads and changes the accounts that are the operator's to keep; others are not looked at.

    All calls raise EtcdError. After one, what is cached may be behind: read again.
    """

    def __init__(self, client: AdminClient, setup: m.Setup) -> None:
        """The client is the caller's to close."""
        self._client = client
        self._setup = setup
        self._own = {m.ROOT, *setup.administrators, setup.operator, setup.shared} if setup.own_etcd else set()
        self.accounts = m.Accounts()

    async def read(self) -> None:
        """Read everything."""
        self.accounts = m.Accounts()
        await self.refresh()

    async def refresh(self) -> None:
        """Read the names, the records, and what is not known yet of the rest."""
        known = self.accounts
        read = m.Accounts(await self._client.auth_enabled(), records=await self._records())
        users = set(filter(self._is_ours, await self._client.users()))
        read.users = {user: known.users[user] for user in users if known.users.get(user)}
        roles = set(filter(self._is_ours, await self._client.roles()))
        read.roles = {role: known.roles[role] for role in roles & known.roles.keys()}
        await in_parallel(users - read.users.keys(), lambda user: self._read_user(user, read))
        await in_parallel(roles - read.roles.keys(), lambda role: self._read_role(role, read))
        self.accounts = read

    async def _read_user(self, user: str, read: m.Accounts) -> None:
        if (roles := await self._client.roles_of(user)) is not None:
            read.users[user] = roles

    async def _read_role(self, role: str, read: m.Accounts) -> None:
        if (permissions := await self._client.permissions_of(role)) is not None:
            read.roles[role] = frozenset(map(_access, permissions))

    def _is_ours(self, name: str) -> bool:
        return name in self._own or name.startswith(NAMESPACE_PREFIX)

    async def _records(self) -> dict[str, dict[str, m.Enrolled]]:
        found: dict[str, dict[str, m.Enrolled]] = {}
        prefix = records_prefix(self._setup.root)
        key, end = prefix.encode(), prefix_end(prefix)
        while True:
            page = await self._client.range(key, end=end, limit=_PAGE_KEYS)
            for kv in page.kvs:
                namespace, _, cluster = kv.key.decode(errors="replace").removeprefix(prefix).partition("/")
                found.setdefault(namespace, {})[cluster] = _decoded(kv.value)
            if not page.more:
                return found
            key = page.kvs[-1].key + b"\0"

    async def act(self, action: do.Action) -> None:
        """Carry out an action on etcd, and note it. The actions on Secrets are not for here."""
        match action:
            case do.AddRole() | do.Permit() | do.Forbid() | do.DeleteRole():
                await self._change_role(action)
            case do.AddUser() | do.Grant() | do.Revoke() | do.DeleteUser():
                await self._change_user(action)
            case do.PutRecord() | do.DeleteRecord():
                await self._change_record(action)
            case do.EnableAuth():
                await self._client.enable_auth()
                self.accounts.auth_enabled = True
            case _:
                raise TypeError(f"{action} is not an action on etcd")

    async def set_password(self, action: do.SetPassword, password: str) -> None:
        """Give the user this password, and note that etcd has it."""
        if action.add:
            await self._client.add_user_with(action.user, password)
            self.accounts.users.setdefault(action.user, frozenset())
        else:
            await self._client.change_password(action.user, password)
        record = m.Enrolled(action.user, fingerprint(action.user, password))
        await self._change_record(do.PutRecord(action.namespace, record))

    async def _change_role(self, action: do.AddRole | do.Permit | do.Forbid | do.DeleteRole) -> None:
        roles, role = self.accounts.roles, action.role
        match action:
            case do.AddRole():
                await self._client.add_role(role)
                roles.setdefault(role, frozenset())
            case do.Permit(access=access):
                await self._client.permit(role, access.key, access.end)
                same = {each for each in roles[role] if (each.key, each.end) == (access.key, access.end)}
                roles[role] = roles[role] - same | {access}
            case do.Forbid(access=access):
                await self._client.forbid(role, Permission(access.key, access.end))
                roles[role] -= {access}
            case do.DeleteRole():
                await self._client.delete_role(role)
                roles.pop(role, None)
                users = self.accounts.users
                users.update({user: held - {role} for user, held in users.items() if role in held})  # as etcd does

    async def _change_user(self, action: do.AddUser | do.Grant | do.Revoke | do.DeleteUser) -> None:
        users, user = self.accounts.users, action.user
        match action:
            case do.AddUser():
                await self._client.add_user(user)
                users.setdefault(user, frozenset())
            case do.Grant(role=role):
                await self._client.grant_role(user, role)
                users[user] |= {role}
            case do.Revoke(role=role):
                await self._client.revoke_role(user, role)
                users[user] -= {role}
            case do.DeleteUser():
                await self._client.delete_user(user)
                users.pop(user, None)

    async def _change_record(self, action: do.PutRecord | do.DeleteRecord) -> None:
        records, cluster = self.accounts.records, self._setup.cluster
        key = record_key(self._setup.root, action.namespace, cluster)
        if isinstance(action, do.PutRecord):
            fields = {"user": action.record.user, "authority": action.record.authority}
            await self._client.put(key, json.dumps(fields).encode())
            records.setdefault(action.namespace, {})[cluster] = action.record
        else:
            await self._client.delete(key)
            records.get(action.namespace, {}).pop(cluster, None)


def _access(permission: Permission) -> m.Access:
    return m.Access(permission.key, permission.end, permission.read and permission.write)


def _decoded(value: bytes) -> m.Enrolled:
    """A record as it is stored; what is not ours in every detail reads as one of nobody."""
    fields = json_object(value) or {}
    user, authority = fields.get("user"), fields.get("authority")
    return m.Enrolled(user if isinstance(user, str) else "", authority if isinstance(authority, str) else "")
