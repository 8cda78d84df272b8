"""What an account lacks, and what it has too much. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from leasehold.operator.enrolment.actions import Action, AddRole, AddUser, Forbid, Grant, Permit, Revoke
from leasehold.operator.enrolment.model import Access, Account, Accounts


def mend(account: Account, accounts: Accounts) -> Iterator[Action]:
    """What is missing of an account: role, access, user, the user's role. Then what is too much, if it is exact."""
    access = accounts.roles.get(account.role)
    if access is None:
        yield AddRole(account.role)
    given = access or frozenset()
    too_much = _sorted(given - account.access) if account.exact else []
    # An incomplete permission on the same keys is replaced by the one that comes: etcd keeps one for each range.
    replaced = {(each.key, each.end) for each in account.access}
    yield from (Permit(account.role, each) for each in _sorted(account.access - given))
    yield from (Forbid(account.role, each) for each in too_much if (each.key, each.end) not in replaced)
    roles = accounts.users.get(account.user)
    if roles is None:
        yield AddUser(account.user)
    if account.role not in (roles or ()):
        yield Grant(account.user, account.role)
    if account.exact:
        yield from (Revoke(account.user, role) for role in sorted((roles or frozenset()) - {account.role}))


def _sorted(access: Iterable[Access]) -> list[Access]:
    return sorted(access, key=lambda each: (each.key, each.end, each.complete))
