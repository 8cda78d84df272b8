"""`kubectl leasehold check [NAME]`: what is wrong on a cluster, why, and what to do about it."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from functools import partial
from typing import Final

from leasehold.check import kube_rows, rows, workload_rows
from leasehold.check.kube_facts import KubeFacts
from leasehold.check.kube_reading import name_of, namespace_of
from leasehold.check.rows import Level, Row, unasked
from leasehold.kubectl import kube_ask
from leasehold.kubectl.arguments import Arguments
from leasehold.kubectl.cluster import Cluster
from leasehold.kubectl.parallel import ask_all
from leasehold.lock.keys import DEFAULT_ROOT
from leasehold.lock.names import LockName

_PAUSE_SECONDS: Final = 2.0
_WHOLE_SECONDS: Final = 7.5
"""The rest of the ten that are promised is for the start."""


def check(cluster: Cluster, given: Arguments) -> int:
    """`check`."""
    found = _look(cluster, given)
    _print(found, given)
    while given.watch:
        time.sleep(_PAUSE_SECONDS)
        before, found = found, _look(cluster, given)
        if rows.key(found) != rows.key(before):
            sys.stdout.write("\n")
            _print(found, given)
    return rows.exit_code(found)


def _print(found: list[Row], given: Arguments) -> None:
    text = rows.as_text(found)
    if given.output in ("json", "yaml"):
        text = rows.as_json(found)
    if given.output == "yaml":
        import yaml  # of the plugin extra

        text = yaml.safe_dump(json.loads(text), sort_keys=False)
    sys.stdout.write(text)
    sys.stdout.flush()


def _look(cluster: Cluster, given: Arguments) -> list[Row]:
    """Cluster and etcd side by side."""
    questions = {"cluster": partial(_cluster, cluster, given), "etcd": partial(_etcd, cluster, given)}
    found: list[Row] = []
    for name, heard in ask_all(questions, _WHOLE_SECONDS).items():
        found += [unasked(name, name, heard)] if isinstance(heard, str) else heard
    return found


def _cluster(cluster: Cluster, given: Arguments) -> list[Row]:
    namespace = "" if given.all_namespaces else cluster.namespace
    facts = kube_ask.ask(cluster, namespace, given.name)
    return [
        *kube_rows.rows_of(facts, datetime.now(UTC)),
        *_locks(facts, namespace, given),
        *workload_rows.rows_of(facts),
    ]


def _locks(facts: KubeFacts, namespace: str, given: Arguments) -> list[Row]:
    if isinstance(facts.locks, str):
        return []
    here = [one for one in facts.locks if namespace in ("", namespace_of(one))]
    if not given.name:
        return kube_rows.lock_rows(here)
    named = [one for one in here if name_of(one) == given.name]
    return kube_rows.lock_rows(named) if named else [_no_lock(LockName(namespace, given.name))]


def _no_lock(lock: LockName) -> Row:
    return Row(kube_rows.LOCKS, "no-lock", Level.FAILED, f"there is no Lock {lock}", "declare it, or correct the name")


def _etcd(cluster: Cluster, given: Arguments) -> list[Row]:
    """As `leasehold check` has them, if `--etcd` says where it is."""
    if given.etcd is None:
        return []
    from leasehold.check.etcd_look import look  # with the etcd client, which only this needs
    from leasehold.settings.connect import access

    lock = given.lock(cluster.namespace) if given.name else None
    return look(access(given.etcd), given.root or DEFAULT_ROOT, lock)
