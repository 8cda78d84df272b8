"""What the enrolment knows, as plain values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from leasehold.lock.keys import prefix_end

ROOT: str = "root"
"""The user without whom etcd does not turn authentication on, and the role that may administer. Nobody comes as it."""


@dataclass(frozen=True, slots=True)
class Access:
    """A role's permission on the keys from `key` up to `end`; `complete` if it is to read and to write."""

    key: bytes
    end: bytes
    complete: bool = True

    @classmethod
    def below(cls, prefix: str) -> Access:
        """To read and write every key with this prefix."""
        return cls(prefix.encode(), prefix_end(prefix))


@dataclass(frozen=True, slots=True)
class Account:
    """A user and its role. If it is `exact`, no other role of the user and no other access of the role may remain."""

    user: str
    role: str
    access: frozenset[Access] = frozenset()
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One cluster's record of a namespace: the user it made, and what it comes by.

    `authority` is the fingerprint of the authority of its certificate, or of the password that etcd surely has.
    """

    user: str
    authority: str


@dataclass(slots=True)
class Accounts:
    """What etcd has: `users` with their roles, `roles` with their access, and by namespace the clusters' records.

    The part that acts keeps it up to date with what it has done.
    """

    auth_enabled: bool = False
    users: dict[str, frozenset[str]] = field(default_factory=dict)
    roles: dict[str, frozenset[Access]] = field(default_factory=dict)
    records: dict[str, dict[str, Enrolled]] = field(default_factory=dict)


class Owner(Enum):
    """Whose a Secret of our name is.

    Ours, a release's that gave all the same certificate, somebody else's, or one that another operator writes as well.
    """

    OURS = "ours"
    SHARED = "shared"
    FOREIGN = "foreign"
    CONTESTED = "contested"


@dataclass(frozen=True, slots=True)
class Login:
    """The passwords in a Secret, as fingerprints; `next` is "" unless it announces one.

    `due`: the first is old. `announced`: the next one is there for long enough, so that everybody has it.
    """

    first: str
    next: str
    due: bool
    announced: bool


@dataclass(frozen=True, slots=True)
class SecretFact:
    """A Secret of our name. `version` is its resourceVersion, `flaw` why it must be written, "" if it is good.

    `mistyped`: its type, which nobody can change, is another one. `login`: its passwords, if it is to hold some.
    """

    owner: Owner
    uid: str
    version: str
    flaw: str
    mistyped: bool = False
    login: Login | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """What does not change while the operator runs.

    `cluster`: its UID. `administrators`: users who get the role root. `operator`: the reconciler's user. `shared`: the
    user of the certificate that earlier releases gave to all sidecars. With `own_etcd` false, etcd is somebody else's:
    only namespaces get accounts there, and authentication is not turned on. `namespace`: the operator's own.
    `passwords`: namespaces get passwords, and no certificates.
    """

    root: str
    cluster: str
    own_etcd: bool = False
    administrators: tuple[str, ...] = ()
    operator: str = ""
    shared: str = ""
    namespace: str = ""
    passwords: bool = False

    @property
    def instance(self) -> str:
        """What no other operator of the cluster is called."""
        return f"{self.namespace}{self.root}"


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a plan depends on.

    `wanted`: namespaces in use. `unused`: enrolled ones that have been out of use for long enough. `authority`: the
    fingerprint of the authority, "" while no certificate can be issued. `fresh`: all of `accounts` has just been read.
    `shared_unused`: nobody has used the shared certificate for long enough. `remembered`: by namespace, the fingerprint
    of the password that the operator knows, whatever the Secret holds.
    """

    accounts: Accounts
    secrets: Mapping[str, SecretFact]
    wanted: frozenset[str]
    unused: frozenset[str] = frozenset()
    authority: str = ""
    fresh: bool = False
    shared_unused: bool = False
    remembered: Mapping[str, str] = field(default_factory=dict)
