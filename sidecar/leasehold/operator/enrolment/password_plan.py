"""What is to be done so that a namespace's user has a password, and its Secret the same one. Pure.

etcd shows no password, so the note of the namespace has the fingerprint of the one that etcd surely has; it has none
while a password is set. A password is replaced in two steps, because kubelets bring a Secret to its pods minutes later:
the Secret announces the next one beside the first, and sidecars try both; only then does etcd get it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from leasehold.operator.enrolment.actions import (
    Action,
    AddUser,
    DeleteSecret,
    DeleteUser,
    PutRecord,
    SetPassword,
    WriteLogin,
)
from leasehold.operator.enrolment.mend import mend
from leasehold.operator.enrolment.model import Access, Account, Enrolled, Facts, Owner, SecretFact, Setup
from leasehold.operator.enrolment.names import account_of, locks_of

_KIND: Final = "password:"


def fingerprint(user: str, password: str) -> str:
    """What is noted of a password, which is random and long enough that nobody finds it by this."""
    return _KIND + hashlib.sha256(f"{user}\0{password}".encode()).hexdigest()[:32]


def enrol_by_password(setup: Setup, facts: Facts, namespace: str) -> Iterator[Action]:
    """The actions for one namespace in use, in their order."""
    secret, records = facts.secrets.get(namespace), facts.accounts.records.get(namespace, {})
    if (secret and secret.owner is not Owner.OURS) or records.keys() - {setup.cluster}:
        return  # told as a problem
    if secret and secret.mistyped:
        yield DeleteSecret(namespace, secret)
        secret = None
    user = account_of(namespace, setup.root)
    account = Account(user, user, frozenset({Access.below(locks_of(setup.root, namespace))}))
    noted = records.get(setup.cluster, Enrolled("", ""))
    in_etcd = noted.authority if noted.user == user and user in facts.accounts.users else ""
    if in_etcd.startswith(_KIND) and in_etcd in _known(facts, namespace, secret):
        yield from mend(account, facts.accounts)
        yield from _keep(namespace, user, secret, in_etcd)
    else:
        yield from _give(facts, account, namespace, noted)
        yield WriteLogin(namespace, user, secret)


def _known(facts: Facts, namespace: str, secret: SecretFact | None) -> set[str]:
    login = secret.login if secret else None
    return {facts.remembered.get(namespace, "")} | ({login.first, login.next} if login else set())


def _keep(namespace: str, user: str, secret: SecretFact | None, in_etcd: str) -> Iterator[Action]:
    """Etcd's password is known: the Secret gets it, if it is damaged, and a next one in time."""
    login = secret.login if secret else None
    if login and login.next and (in_etcd == login.next or (in_etcd == login.first and login.announced)):
        yield SetPassword(namespace, user, announced=True)
        yield WriteLogin(namespace, user, secret)
    elif secret is None or secret.flaw or login is None or in_etcd != login.first:
        yield WriteLogin(namespace, user, secret)
    elif login.due and not login.next:
        yield WriteLogin(namespace, user, secret, announce=True)


def _give(facts: Facts, account: Account, namespace: str, noted: Enrolled) -> Iterator[Action]:
    """Nobody knows etcd's password, or there is none: a new one."""
    accounts, user = facts.accounts, account.user
    if user in accounts.users and noted.authority and not noted.authority.startswith(_KIND):
        yield DeleteUser(user)  # it was made without a password, for a certificate, and stays so
        accounts = replace(accounts, users={name: each for name, each in accounts.users.items() if name != user})
    if noted != Enrolled(user, ""):
        yield PutRecord(namespace, Enrolled(user, ""))
    if user in accounts.users:
        yield SetPassword(namespace, user)
    for action in mend(account, accounts):
        yield SetPassword(namespace, user, add=True) if isinstance(action, AddUser) else action
