"""Names and values in etcd: where a lock's keys are, and what stands in them.

Pure: no I/O, no clock. Both the sidecar and the operator build every key and every value here and nowhere else.

    {root}/locks/{namespace}/{name}/queue/{lease id in hex}   one candidate each: a `Record`, attached to its lease
    {root}/locks/{namespace}/{name}/spec                      the declared lock: a `Spec`, written by the operator alone

The queue is laid out as etcd's own `concurrency.Election` does it (prefix, `/`, lease id in lower-case hex; order is
the create revision), so that `etcdctl elect` and Go programs can stand in the same queue. Whatever they write there
is a `Record` too: a foreign one, whose identity is its text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

DEFAULT_ROOT: Final = "/leasehold"
DEFAULT_TTL: Final = 15
MIN_TTL, MAX_TTL = 3, 3600
MAX_CAPACITY: Final = 1000
MAX_IDENTITY: Final = 253
MAX_LEASE: Final = 2**63 - 1

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
# Fixed ranges rather than str.isprintable, which differs between Python versions. Left out are control characters, and
# those that reorder, break or hide what stands on a terminal's line.
_UNPRINTABLE = re.compile(
    r"[^\x20-\x7e\xa1-\xac\xae-\u200a\u2010-\u2027\u2030-\u205f\u2070-\ud7ff\ue000-\ufefe\uff00-\ufff8\ufffc-\ufffd]"
)


@dataclass(frozen=True, slots=True)
class LockName:
    """A lock's namespace and name, each by Kubernetes' own character rules, so that neither can hold a `/`."""

    namespace: str
    name: str

    def __post_init__(self) -> None:
        """Raise ValueError, with a sentence that names the rule, when Kubernetes would refuse one of the two."""
        if not (len(self.namespace) <= 63 and _LABEL.fullmatch(self.namespace)):
            raise ValueError(
                f"the namespace {self.namespace!r} is not valid: use at most 63 lower-case letters, digits and '-', "
                "starting and ending with a letter or digit"
            )
        if not (len(self.name) <= 253 and _SUBDOMAIN.fullmatch(self.name)):
            raise ValueError(
                f"the lock name {self.name!r} is not valid: use at most 253 lower-case letters, digits, '-' and '.', "
                "starting and ending with a letter or digit"
            )

    @classmethod
    def parse(cls, text: str, default_namespace: str) -> LockName:
        """Read `name` or `namespace/name`. Raises ValueError with one sentence."""
        namespace, slash, name = text.partition("/")
        return cls(namespace, name) if slash else cls(default_namespace, text)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Keys:
    """The etcd keys of one lock."""

    lock: LockName
    root: str = DEFAULT_ROOT

    @property
    def prefix(self) -> str:
        """The lock's election prefix: what `etcdctl elect` is given to wait in the same queue."""
        return f"{self.root}/locks/{self.lock.namespace}/{self.lock.name}/queue"

    @property
    def queue(self) -> str:
        """The common prefix of all candidates' keys, with its closing slash."""
        return self.prefix + "/"

    @property
    def spec(self) -> str:
        """The key of the declared lock."""
        return f"{self.root}/locks/{self.lock.namespace}/{self.lock.name}/spec"

    def entry(self, lease: int) -> str:
        """The key of the candidate that holds this lease id."""
        return f"{self.queue}{lease:x}"


def prefix_end(prefix: str) -> bytes:
    """The end of the range that holds every key with this prefix. The prefix ends in a byte below 0xff."""
    raw = prefix.encode()
    return raw[:-1] + bytes([raw[-1] + 1])


@dataclass(frozen=True, slots=True)
class Record:
    """Who a candidate is, as it says itself in the value of its key.

    `incarnation` names the process that may act for the key; `yield_to` is the identity of the candidate that a
    holder is handing over to. A `foreign` record was not written by Leasehold: its text is its identity.
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
        }
        kept = {name: value for name, value in named.items() if value or name in ("identity", "incarnation")}
        return json.dumps(kept, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def decode(cls, value: bytes) -> Record:
        """Read a key's value; never fails: whatever is not ours in every detail is a foreign record."""
        fields = _json_object(value)
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
        )


def sanitise(text: str) -> str:
    """Text from elsewhere as an identity that is safe in a terminal, a label file and a log: printable, at most 253."""
    return _UNPRINTABLE.sub("�", text)[:MAX_IDENTITY]


_RECORD_TEXTS = ("identity", "pod", "podNamespace", "podUID", "node", "group", "incarnation", "yieldTo")


def _is_ours(fields: Mapping[str, Any]) -> bool:
    texts = all(
        isinstance(fields.get(name, ""), str) and sanitise(fields.get(name, "")) == fields.get(name, "")
        for name in _RECORD_TEXTS
    )
    named = bool(fields.get("identity")) and bool(fields.get("incarnation"))
    return texts and named and _is_int(fields.get("priority", 0), -(2**31), 2**31 - 1)


@dataclass(frozen=True, slots=True)
class Spec:
    """A declared lock, as the operator wrote it. The defaults are those of an undeclared lock.

    `ttl` is in seconds, None where the resource leaves it to the sidecar. `uid`, `generation` and `cluster` say whose
    declaration this is: the resource's, and the UID of the cluster it stands in. They are the operators' business, who
    share an etcd with others; no sidecar heeds them. Unknown fields are kept by name only, so that they can be logged;
    a newer operator may write more than this sidecar knows.
    """

    ttl: int | None = None
    capacity: int = 1
    suspend: bool = False
    deleting: bool = False
    preferred_holder: str = ""
    preferred_group: str = ""
    handover_up_to_token: int = 0
    uid: str = ""
    generation: int = 0
    cluster: str = ""
    unknown: tuple[str, ...] = field(default=(), compare=False)

    def encode(self) -> bytes:
        """The value of the spec key. Equal specs have equal bytes: the operator compares them to find drift."""
        named = {name: getattr(self, attribute) for name, (attribute, _) in _SPEC_FIELDS.items()}
        return json.dumps({n: v for n, v in named.items() if v not in (None, "", 0)}, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, value: bytes) -> Spec:
        """Read the spec key's value. Raises ValueError, with one sentence, when it is not a spec."""
        fields = _json_object(value)
        if fields is None:
            raise ValueError("the lock's spec key does not hold a JSON object")
        known: dict[str, Any] = {}
        for name, (attribute, check) in _SPEC_FIELDS.items():
            if name in fields:
                if not check(fields[name]):
                    raise ValueError(f"the lock's spec key holds an impossible {name}: {str(fields[name])[:80]!r}")
                known[attribute] = fields[name]
        return cls(**known, unknown=tuple(sorted(sanitise(name) for name in fields.keys() - _SPEC_FIELDS.keys())))


def _is_int(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_IDENTITY


_SPEC_FIELDS: Final[dict[str, tuple[str, Callable[[Any], bool]]]] = {
    "leaseDurationSeconds": ("ttl", lambda v: _is_int(v, MIN_TTL, MAX_TTL)),
    "capacity": ("capacity", lambda v: _is_int(v, 1, MAX_CAPACITY)),
    "suspend": ("suspend", _is_bool),
    "deleting": ("deleting", _is_bool),
    "preferredHolder": ("preferred_holder", _is_text),
    "preferredGroup": ("preferred_group", _is_text),
    "handoverUpToToken": ("handover_up_to_token", lambda v: _is_int(v, 0, MAX_LEASE)),
    "uid": ("uid", _is_text),
    "generation": ("generation", lambda v: _is_int(v, 0, MAX_LEASE)),
    "cluster": ("cluster", _is_text),
}


def _json_object(value: bytes) -> dict[str, Any] | None:
    try:
        fields = json.loads(value)
    except (ValueError, RecursionError):  # undecodable bytes and broken JSON are both ValueErrors
        return None
    return fields if isinstance(fields, dict) else None


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
