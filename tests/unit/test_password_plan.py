"""Passwords of namespaces, planned: whatever is interrupted, it ends well, and a rotation shuts nobody out."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from leasehold.operator.enrolment import actions as do
from leasehold.operator.enrolment import model as m
from leasehold.operator.enrolment.password_plan import fingerprint
from leasehold.operator.enrolment.plan import plan

SETUP = m.Setup("/leasehold", "uid-1", passwords=True)
NAMESPACE, USER = "prod", "leasehold:ns/prod"
_numbers = itertools.count()


@dataclass
class World:
    """What etcd has, what the Secret holds, and what the operator remembers, as far as plans go."""

    accounts: m.Accounts = field(default_factory=m.Accounts)
    password: str = ""
    lines: tuple[str, ...] = ()
    remembered: tuple[str, ...] = ()
    due: bool = False
    announced: bool = False
    mistyped: bool = False
    there: bool = False

    def facts(self) -> m.Facts:
        prints = [fingerprint(USER, each) for each in self.lines]
        login = m.Login(prints[0], prints[1] if prints[1:] else "", self.due, self.announced) if prints else None
        fact = m.SecretFact(m.Owner.OURS, "u", "1", "", self.mistyped, login)
        known = {NAMESPACE: fingerprint(USER, self.remembered[0])} if self.remembered else {}
        secrets = {NAMESPACE: fact} if self.there else {}
        return m.Facts(self.accounts, secrets, frozenset({NAMESPACE}), remembered=known)

    def actions(self) -> list[do.Action]:
        return [action for step in plan(SETUP, self.facts()).steps for action in step.actions]

    def act(self, action: do.Action) -> None:
        users, roles = self.accounts.users, self.accounts.roles
        match action:
            case do.AddRole(role):
                roles[role] = frozenset()
            case do.Permit(role, access):
                roles[role] |= {access}
            case do.Grant(user, role):
                users[user] |= {role}
            case do.DeleteUser(user):
                users.pop(user)
                self.password = ""
            case do.PutRecord(namespace, record):
                self.accounts.records[namespace] = {SETUP.cluster: record}
            case do.DeleteSecret():
                self.lines, self.there, self.mistyped = (), False, False
            case do.SetPassword():
                self.set_password(action)
            case do.WriteLogin():
                self.lines, self.there = self.remembered[:1], True
                if action.announce:
                    self.lines = self.remembered = (*self.remembered[:1], f"p{next(_numbers)}")
                self.due = self.announced = False
            case _:
                raise AssertionError(action)

    def set_password(self, action: do.SetPassword) -> None:
        assert action.add is (USER not in self.accounts.users)
        self.password = self.remembered[-1] if action.announced else f"p{next(_numbers)}"
        self.remembered = (self.password,)
        self.accounts.users.setdefault(USER, frozenset())
        record = m.Enrolled(USER, fingerprint(USER, self.password))
        self.accounts.records[NAMESPACE] = {SETUP.cluster: record}

    def settle(self) -> World:
        for _ in range(10):
            for action in self.actions():
                self.act(action)
        assert self.actions() == [], "it does not come to rest"
        return self

    @property
    def opens(self) -> bool:
        """Whether who reads the Secret comes in."""
        return self.password in self.lines and USER in self.accounts.users


def rotating() -> World:
    one = World().settle()
    one.due = True
    one.settle()
    assert len(one.lines) == 2
    return one


def by_certificate() -> World:
    one = World().settle()
    return replace(one, accounts=replace(one.accounts, records={NAMESPACE: {"uid-1": m.Enrolled(USER, "abcd")}}))


DAMAGE: dict[str, Callable[[], World]] = {
    "new": World,
    "an edited Secret": lambda: replace(World().settle(), lines=("junk",)),
    "an emptied Secret": lambda: replace(World().settle(), lines=()),
    "no Secret": lambda: replace(World().settle(), lines=(), there=False),
    "no user": lambda: replace(World().settle(), accounts=m.Accounts(records=World().settle().accounts.records)),
    "no note": lambda: replace(World().settle(), accounts=replace(World().settle().accounts, records={})),
    "another type": lambda: replace(by_certificate(), lines=(), mistyped=True),
    "due": lambda: replace(World().settle(), due=True),
    "announced": lambda: replace(rotating(), announced=True),
}


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("damage", DAMAGE)
def test_it_ends_well_whatever_is_interrupted(damage: str, restarts: bool) -> None:
    """After each number of actions the operator stops; the next one, which may remember nothing, does the rest."""
    for done in range(len(DAMAGE[damage]().actions()) + 1):
        world = DAMAGE[damage]()
        for action in world.actions()[:done]:
            world.act(action)
        if restarts:
            world.remembered = world.lines
        world.settle()
        assert world.opens, f"after {done} actions"
        assert world.accounts.users[USER] == {USER}


def test_a_rotation_shuts_nobody_out() -> None:
    """Before and after each of its actions the Secret opens, also as it was one action before."""
    world = rotating()
    assert world.opens
    assert world.actions() == [], "kubelets have not brought it to everybody yet"
    world.announced = True
    before = world.lines
    for action in world.actions():
        world.act(action)
        assert world.opens
        assert world.password in before
    assert len(world.settle().lines) == 1


@pytest.mark.parametrize("damage", ["an edited Secret", "an emptied Secret", "no Secret"])
def test_a_damaged_secret_gets_the_password_that_etcd_has(damage: str) -> None:
    world = DAMAGE[damage]()
    before = world.password
    world.settle()
    assert world.password == before
    assert world.lines == (before,)


def test_two_clusters_do_not_fight_over_a_user() -> None:
    world = World().settle()
    world.accounts.records[NAMESPACE] = {"uid-2": m.Enrolled(USER, "password:x")}
    assert world.actions() == []
    (problem,) = plan(SETUP, world.facts()).problems[-1:]
    assert "uid-2" in problem.text
    assert "use another --root" in problem.text
