"""What stands in a candidate's key: who it is, and the key itself as etcd has it.

Other programs can stand in the same queue. Whatever they write is a `Record` too: a foreign one, whose identity is its
text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from leasehold.base.records import dataclass
from leasehold.lock.json_fields import is_integer, json_object
from leasehold.lock.names import sanitise


@dataclass(frozen=True, slots=True)
class Record:
    """Who a candidate is, as it says itself in the value of its key.

    `incarnation` names the process that may act for the key; `yield_to` is the identity of the candidate that a
    holder is handing over to. `certificate` is the common name by which the candidate is connected to etcd, empty
    without a client certificate: etcd itself does not tell that. A `foreign` record was not written by Leasehold: its
    text is its identity.
    """

    identity: str
    pod: str = ""
    pod_namespace: str = ""
    pod_uid: str = ""
    node: str = ""
    group: str = ""
    priority: int = 0
    incarnation: str = ""
    yield_to: str = ""
    certificate: str = ""
    foreign: bool = False

    def encode(self) -> bytes:
        """The value of the key: JSON, with the names of the design's table, empty fields left out."""
        named = {
            "identity": self.identity,
            "pod": self.pod,
            "podNamespace": self.pod_namespace,
            "podUID": self.pod_uid,
            "node": self.node,
            "group": self.group,
            "priority": self.priority,
            "incarnation": self.incarnation,
            "yieldTo": self.yield_to,
            "certificate": self.certificate,
        }
        kept = {name: value for name, value in named.items() if value or name in ("identity", "incarnation")}
        return json.dumps(kept, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def decode(cls, value: bytes) -> Record:
        """Read a key's value; never fails: whatever is not ours in every detail is a foreign record."""
        fields = json_object(value)
        if fields is None or not _is_ours(fields):
            return cls(identity=sanitise(value.decode(errors="replace")), foreign=True)
        return cls(
            identity=fields["identity"],
            pod=fields.get("pod", ""),
            pod_namespace=fields.get("podNamespace", ""),
            pod_uid=fields.get("podUID", ""),
            node=fields.get("node", ""),
            group=fields.get("group", ""),
            priority=fields.get("priority", 0),
            incarnation=fields["incarnation"],
            yield_to=fields.get("yieldTo", ""),
            certificate=fields.get("certificate", ""),
        )


_RECORD_TEXTS: Final = (
    "identity",
    "pod",
    "podNamespace",
    "podUID",
    "node",
    "group",
    "incarnation",
    "yieldTo",
    "certificate",
)


def _is_ours(fields: Mapping[str, Any]) -> bool:
    texts = all(
        isinstance(fields.get(name, ""), str) and sanitise(fields.get(name, "")) == fields.get(name, "")
        for name in _RECORD_TEXTS
    )
    named = bool(fields.get("identity")) and bool(fields.get("incarnation"))
    return texts and named and is_integer(fields.get("priority", 0), -(2**31), 2**31 - 1)


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of the queue as etcd has it: a candidate. Entries are ordered by `create_revision`, its token."""

    key: str
    lease: int
    create_revision: int
    mod_revision: int
    record: Record

    @property
    def changed(self) -> bool:
        """Whether the record was ever rewritten: then its owner may be passing candidates over."""
        return self.mod_revision != self.create_revision
