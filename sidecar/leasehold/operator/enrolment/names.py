"""What the accounts are called. Pure.

A client certificate's common name is the name of the etcd user, so a namespace never gives the bare name: one that is
called `root` would administer etcd. Colons and slashes do not occur in names of namespaces.
"""

from __future__ import annotations

import hashlib
from typing import Final

from leasehold.lock.keys import DEFAULT_ROOT, locks_prefix

NAMESPACE_PREFIX: Final = "leasehold:ns/"
"""Of the users and roles of all namespaces."""
_MAX_CHARACTERS: Final = 51
"""Of a namespace's name in a user's: X.509 allows 64 characters in a common name (RFC 5280, ub-common-name)."""


def account_of(namespace: str, root: str = DEFAULT_ROOT) -> str:
    """The name of the namespace's user, its role, and its certificate's common name: at most 64 characters.

    A longer namespace gives a hash, behind a word that no namespace can be called. So does one whose locks are under
    another root than usual: clusters that share an etcd differ in that, and their namespaces may have the same names.
    """
    if len(namespace) <= _MAX_CHARACTERS and root == DEFAULT_ROOT:
        return NAMESPACE_PREFIX + namespace
    return f"{NAMESPACE_PREFIX}sha256:{hashlib.sha256(locks_of(root, namespace).encode()).hexdigest()[:32]}"


def locks_of(root: str, namespace: str) -> str:
    """The common prefix of the keys of the namespace's locks, with its closing slash."""
    return f"{locks_prefix(root)}{namespace}/"


def records_prefix(root: str) -> str:
    """The common prefix of the keys that say which cluster has enrolled which namespace, with its closing slash."""
    return f"{root}/enrolled/"


def record_key(root: str, namespace: str, cluster: str) -> str:
    """The key that says that this cluster has enrolled this namespace. `cluster` is its UID."""
    return f"{records_prefix(root)}{namespace}/{cluster}"
