"""An etcd and a cluster that do what an enrolment's plan tells them, and check at each action what must always hold."""

from dataclasses import dataclass, field

from leasehold.operator.enrolment import actions as do
from leasehold.operator.enrolment import model as m
from leasehold.operator.enrolment.names import account_of, locks_of
from leasehold.operator.enrolment.plan import plan

SETUP = m.Setup(
    "/leasehold", "cluster-a", True, ("leasehold-admin", "leasehold-etcd"), "leasehold-operator", "leasehold"
)
GOOD = m.SecretFact(m.Owner.OURS, "uid", "1", "")
EVERYTHING = m.Access.below("/leasehold/")
NAMES = ("apps", "shop")


@dataclass
class World:
    """An etcd and a cluster that do what they are told, and check at each action what must always hold."""

    setup: m.Setup = SETUP
    accounts: m.Accounts = field(default_factory=m.Accounts)
    secrets: dict[str, m.SecretFact] = field(default_factory=dict)
    wanted: frozenset[str] = frozenset(NAMES)
    unused: frozenset[str] = frozenset()
    authority: str = "ca"
    shared_unused: bool = False
    fresh: bool = True

    def plan(self) -> do.Plan:
        return plan(
            self.setup,
            m.Facts(
                self.accounts, self.secrets, self.wanted, self.unused, self.authority, self.fresh, self.shared_unused
            ),
        )

    def actions(self) -> list[do.Action]:
        return [action for step in self.plan().steps for action in step.actions]

    def settle(self) -> None:
        """Carry plans out until nothing is left to do."""
        for _ in range(4):
            for action in self.actions():
                self.act(action)
        assert self.actions() == []

    def act(self, action: do.Action) -> None:  # noqa: C901, PLR0912  # one line for each kind
        users, roles = self.accounts.users, self.accounts.roles
        match action:
            case do.AddRole(role):
                assert role not in roles
                roles[role] = frozenset()
            case do.Permit(role, access):
                roles[role] = frozenset(a for a in roles[role] if (a.key, a.end) != (access.key, access.end)) | {access}
            case do.Forbid(role, access):
                roles[role] -= {access}
            case do.AddUser(user):
                assert user not in users
                users[user] = frozenset()
            case do.Grant(user, role):
                assert role in roles
                users[user] |= {role}
            case do.Revoke(user, role):
                users[user] -= {role}
            case do.DeleteUser(user):
                assert user not in (m.ROOT, *self.setup.administrators, self.setup.operator)
                assert user != self.setup.shared or (self.shared_unused and self.accounts.auth_enabled)
                del users[user]
            case do.DeleteRole(role):
                assert role not in users, "its rights would go before it does"
                del roles[role]
                users.update({user: held - {role} for user, held in users.items()})  # as etcd does
            case do.EnableAuth():
                self.check_nobody_is_shut_out()
                self.accounts.auth_enabled = True
            case do.PutRecord(namespace, record):
                self.accounts.records.setdefault(namespace, {})[self.setup.cluster] = record
            case do.DeleteRecord(namespace):
                del self.accounts.records[namespace][self.setup.cluster]
            case do.WriteSecret(namespace, user):
                assert self.works(namespace), "a certificate that etcd does not know"
                assert user == account_of(namespace)
                self.secrets[namespace] = GOOD
            case do.DeleteSecret(namespace):
                assert account_of(namespace) not in users or len(self.accounts.records[namespace]) > 1
                del self.secrets[namespace]

    def works(self, namespace: str) -> bool:
        """Whether the namespace's user may lead its locks, and do nothing else."""
        user = account_of(namespace)
        roles = self.accounts.users.get(user)
        access = self.accounts.roles.get(user, frozenset())
        return roles == frozenset({user}) and access == {m.Access.below(locks_of("/leasehold", namespace))}

    def check_nobody_is_shut_out(self) -> None:
        users, roles = self.accounts.users, self.accounts.roles
        for user in (m.ROOT, *self.setup.administrators):
            assert m.ROOT in users[user]
        for user in (self.setup.operator, self.setup.shared):
            assert EVERYTHING in roles[user]
            assert user in users[user]
        assert all(self.works(namespace) for namespace in self.wanted)
