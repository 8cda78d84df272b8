"""What is to be done so that every namespace in use has its own etcd user and certificate, and no other has. Pure.

The order is what keeps leaders in office:

1. the accounts of the administrators, the operator and the certificate that all shared;
2. each namespace's: the note of it, its role, its user, and only then its Secret. So nobody holds a certificate that
   etcd does not know;
3. authentication, once a complete and fresh reading shows that none of these is missing: etcd itself would not notice
   that its own administrator is about to be shut out;
4. the shared user goes when nobody has used it for a while.

A namespace leaves in the other direction: its user first, because that ends its rights even on open connections.
Authentication is never turned off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from leasehold.operator.enrolment.actions import (
    Action,
    DeleteRecord,
    DeleteRole,
    DeleteSecret,
    DeleteUser,
    EnableAuth,
    Plan,
    Problem,
    PutRecord,
    Step,
    WriteSecret,
)
from leasehold.operator.enrolment.mend import mend
from leasehold.operator.enrolment.model import ROOT, Access, Account, Accounts, Enrolled, Facts, Owner, Setup
from leasehold.operator.enrolment.names import NAMESPACE_PREFIX, account_of, locks_of, record_key
from leasehold.operator.enrolment.password_plan import enrol_by_password


def plan(setup: Setup, facts: Facts) -> Plan:
    """All that is to be done now. What depends on its success is in a later plan."""
    steps = [*_cluster_steps(setup, facts)]
    steps += [Step(namespace, actions) for namespace, actions in _enrolments(setup, facts) if actions]
    steps += [Step(namespace, (*_leave(setup, facts, namespace),)) for namespace in _leaving(setup, facts)]
    if setup.own_etcd and facts.fresh and not facts.accounts.auth_enabled and not _changes_accounts(steps):
        steps.append(Step("", (EnableAuth(),)))
    return Plan(tuple(step for step in steps if step.actions), (*_problems(setup, facts),))


def _changes_accounts(steps: Iterable[Step]) -> bool:
    return any(not isinstance(action, WriteSecret | DeleteSecret) for step in steps for action in step.actions)


# --- the accounts that are not a namespace's -------------------------------------------------------------------------


def _cluster_steps(setup: Setup, facts: Facts) -> Iterator[Step]:
    if not setup.own_etcd:
        return
    accounts = facts.accounts
    missing = (action for account in _cluster_accounts(setup, accounts) for action in mend(account, accounts))
    yield Step("", tuple(dict.fromkeys(missing)))  # several users share the role root: it is added once
    if accounts.auth_enabled and facts.shared_unused:
        yield Step("", (*_remove(setup.shared, accounts),))
    yield Step("", tuple(action for user in _orphans(setup.root, facts) for action in _remove(user, accounts)))


def _cluster_accounts(setup: Setup, accounts: Accounts) -> Iterator[Account]:
    everything = frozenset({Access.below(f"{setup.root}/")})
    for user in (ROOT, *setup.administrators):
        yield Account(user, ROOT, exact=False)
    yield Account(setup.operator, setup.operator, everything)
    # Once authentication is on, a shared user that is missing was removed on purpose.
    if setup.shared and (setup.shared in accounts.users or not accounts.auth_enabled):
        yield Account(setup.shared, setup.shared, everything)


def _orphans(root: str, facts: Facts) -> Iterator[str]:
    """Users of namespaces that no cluster has a note of, that are not in use, and that have no Secret."""
    known = {account_of(each, root) for each in (*facts.accounts.records, *facts.wanted, *facts.secrets)}
    for user in facts.accounts.users:
        if user.startswith(NAMESPACE_PREFIX) and user not in known:
            yield user


# --- namespaces ------------------------------------------------------------------------------------------------------


def _enrolments(setup: Setup, facts: Facts) -> Iterator[tuple[str, tuple[Action, ...]]]:
    enrol = enrol_by_password if setup.passwords else _enrol
    for namespace in sorted(facts.wanted):
        yield namespace, (*enrol(setup, facts, namespace),)


def _enrol(setup: Setup, facts: Facts, namespace: str) -> Iterator[Action]:
    user = account_of(namespace, setup.root)
    secret = facts.secrets.get(namespace)
    if secret and secret.owner is Owner.FOREIGN:
        return  # told as a problem: whoever wrote it wants its pods to use something else
    if secret and secret.mistyped and secret.owner is Owner.OURS and facts.authority:
        yield DeleteSecret(namespace, secret)
        secret = None
    noted = facts.accounts.records.get(namespace, {}).get(setup.cluster)
    desired = Enrolled(user, facts.authority or (noted.authority if noted else ""))
    if noted != desired:
        yield PutRecord(namespace, desired)
    access = frozenset({Access.below(locks_of(setup.root, namespace))})
    yield from mend(Account(user, user, access), facts.accounts)
    if facts.authority and (secret is None or (secret.flaw and secret.owner is not Owner.CONTESTED)):
        yield WriteSecret(namespace, user, secret)


def _leaving(setup: Setup, facts: Facts) -> list[str]:
    ours = {namespace for namespace, clusters in facts.accounts.records.items() if setup.cluster in clusters}
    ours |= {namespace for namespace, secret in facts.secrets.items() if secret.owner is Owner.OURS}
    return sorted((ours & facts.unused) - facts.wanted)


def _leave(setup: Setup, facts: Facts, namespace: str) -> Iterator[Action]:
    clusters = facts.accounts.records.get(namespace, {})
    if not clusters.keys() - {setup.cluster}:
        yield from _remove(account_of(namespace, setup.root), facts.accounts)
    secret = facts.secrets.get(namespace)
    if secret and secret.owner is Owner.OURS:
        yield DeleteSecret(namespace, secret)
    if setup.cluster in clusters:
        yield DeleteRecord(namespace)  # last: whoever is interrupted before finds the rest by it


def _remove(user: str, accounts: Accounts) -> Iterator[Action]:
    if user in accounts.users:
        yield DeleteUser(user)
    if user in accounts.roles:
        yield DeleteRole(user)


# --- what is told ----------------------------------------------------------------------------------------------------


def _problems(setup: Setup, facts: Facts) -> Iterator[Problem]:
    if not setup.own_etcd and not facts.accounts.auth_enabled:
        text = "etcd asks for no user, so every client certificate still opens every lock: run `etcdctl auth enable`"
        yield Problem("", text)
    for namespace in sorted(facts.wanted):
        secret = facts.secrets.get(namespace)
        if secret and secret.owner is Owner.FOREIGN:
            yield Problem(namespace, f"it has a Secret of somebody else's ({secret.flaw}): delete that")
        if secret and secret.owner is Owner.CONTESTED:
            yield Problem(namespace, f"{secret.flaw}: uninstall one of the two, or delete the Secret if that is gone")
        for cluster, record in facts.accounts.records.get(namespace, {}).items():
            if cluster != setup.cluster and setup.passwords:
                yield Problem(namespace, _other_cluster(setup, namespace, cluster))
            elif cluster != setup.cluster and facts.authority not in ("", record.authority):
                yield Problem(namespace, f"the cluster {cluster} has enrolled it, too, by another authority")


def _other_cluster(setup: Setup, namespace: str, cluster: str) -> str:
    key = record_key(setup.root, namespace, cluster)
    return (
        f"the cluster {cluster} gives its user a password: use another --root here; if it is gone, `etcdctl del {key}`"
    )
