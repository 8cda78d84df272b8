"""The transaction by which a candidate gives up its place; the usual one is made beforehand.

Nobody leads between the decision to hand over and the deletion, and a successor waits for it. Translating it into
etcd's messages would be a tenth of what this process contributes to that time.
"""

from __future__ import annotations

from leasehold.election import commands as cmd
from leasehold.etcd.client import EtcdClient, Transaction
from leasehold.etcd.model import Compare, Delete, Op
from leasehold.lock.keys import Keys


class Resignation:
    """Makes the transactions of the candidates of one queue."""

    def __init__(self, client: EtcdClient, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._prepared: tuple[int, int, Transaction] | None = None

    def prepare(self, lease: int, token: int) -> None:
        """Make the one by which this candidate resigns if it skips nobody. Nothing is sent."""
        self._prepared = (lease, token, self._translated(cmd.Resign(0, lease, token)))

    def of(self, command: cmd.Resign) -> Transaction:
        """What this command asks for."""
        prepared = self._prepared
        plain = not (command.skipped or command.guards or command.keep_own) and command.spec_revision is None
        if plain and prepared is not None and prepared[:2] == (command.lease, command.token):
            return prepared[2]
        return self._translated(command)

    def _translated(self, command: cmd.Resign) -> Transaction:
        key = self._keys.entry(command.lease)
        compares = [Compare.create_revision(key, "=", command.token)]
        compares += [
            Compare.create_revision(e.key, "=", e.create_revision) for e in (*command.skipped, *command.guards)
        ]
        if command.spec_revision is not None:
            compares.append(Compare.mod_revision(self._keys.spec, "=", command.spec_revision))
        deletes: list[Op] = [Delete(entry.key) for entry in command.skipped]
        if not command.keep_own:
            deletes.append(Delete(key))
        return self._client.prepared(compares, deletes)
