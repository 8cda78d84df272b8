"""What the enrolment can do, as plain values. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from leasehold.operator.enrolment.model import Access, Enrolled, SecretFact


@dataclass(frozen=True, slots=True)
class AddRole:
    """Add a role without access."""

    role: str


@dataclass(frozen=True, slots=True)
class Permit:
    """Give a role this access."""

    role: str
    access: Access


@dataclass(frozen=True, slots=True)
class Forbid:
    """Take this access from a role."""

    role: str
    access: Access


@dataclass(frozen=True, slots=True)
class AddUser:
    """Add a user without password."""

    user: str


@dataclass(frozen=True, slots=True)
class Grant:
    """Give a user a role."""

    user: str
    role: str


@dataclass(frozen=True, slots=True)
class Revoke:
    """Take a role from a user."""

    user: str
    role: str


@dataclass(frozen=True, slots=True)
class DeleteUser:
    """Delete a user; its certificate is worth nothing from then on."""

    user: str


@dataclass(frozen=True, slots=True)
class DeleteRole:
    """Delete a role."""

    role: str


@dataclass(frozen=True, slots=True)
class EnableAuth:
    """Have etcd ask for a user from now on."""


@dataclass(frozen=True, slots=True)
class PutRecord:
    """Note that this cluster has enrolled the namespace."""

    namespace: str
    record: Enrolled


@dataclass(frozen=True, slots=True)
class DeleteRecord:
    """Delete this cluster's note."""

    namespace: str


@dataclass(frozen=True, slots=True)
class WriteSecret:
    """Issue a certificate for the user, into the namespace's Secret. `replaces`: the Secret that is there."""

    namespace: str
    user: str
    replaces: SecretFact | None = None


@dataclass(frozen=True, slots=True)
class SetPassword:
    """Give the user a new password, or the one that its Secret announces, and note it. `add`: the user is missing."""

    namespace: str
    user: str
    add: bool = False
    announced: bool = False


@dataclass(frozen=True, slots=True)
class WriteLogin:
    """Write the user's name and password into the namespace's Secret. `announce`: and a next password."""

    namespace: str
    user: str
    replaces: SecretFact | None = None
    announce: bool = False


@dataclass(frozen=True, slots=True)
class DeleteSecret:
    """Delete the namespace's Secret, if it is still this one."""

    namespace: str
    fact: SecretFact


Action = (
    AddRole
    | Permit
    | Forbid
    | AddUser
    | Grant
    | Revoke
    | DeleteUser
    | DeleteRole
    | EnableAuth
    | PutRecord
    | DeleteRecord
    | WriteSecret
    | SetPassword
    | WriteLogin
    | DeleteSecret
)


@dataclass(frozen=True, slots=True)
class Step:
    """Actions in their order, for one namespace, or with `namespace` "" for all. If one fails, the rest is left out."""

    namespace: str
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """What only a person can mend, in a sentence; `namespace` "" if it concerns all."""

    namespace: str
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in their order, and problems."""

    steps: tuple[Step, ...] = ()
    problems: tuple[Problem, ...] = ()
