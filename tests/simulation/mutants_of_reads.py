"""Planted bugs in what a candidate concludes without a read of the queue."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from leasehold.election import commands as cmd
from leasehold.election.queue_view import QueueView

from .plant import Function, Mutant, replaces
from .service import Service
from .store import KEYS


class ConfirmsWithoutItsKey(Mutant):
    """The transaction that confirms a keep-alive compares the others' keys, and not its own."""

    @replaces(Service.is_as_expected)
    def is_as_expected(original: Function, service: Service, command: cmd.ReadOwn) -> Any:
        own = service.cluster.store.entries.get(KEYS.entry(command.lease))
        expected = command.expected
        if own is None and expected is not None:
            return service.cluster.store.declared.revision == expected.spec_revision
        return original(service, command)


class OneTransactionTakenForTwo(Mutant):
    """Takes over when the last key ahead goes, though the one before it may have deleted both, and ours."""

    @replaces(QueueView.clears_the_way)
    def clears_the_way(original: Function, view: QueueView, key: str, token: int, revision: int) -> Any:
        return original(replace(view, gone_at=0), key, token, revision)
