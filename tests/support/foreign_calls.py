"""What etcd's documented API offers, aimed at the locks of one namespace; field numbers as in etcd's rpc.proto."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.servers import Etcdctl

Fields = Mapping[int, Any]
Calls = dict[str, tuple[str, Fields]]
"""By what they try: the method, and its request."""

KV: Final = "/etcdserverpb.KV/"
LEASE: Final = "/etcdserverpb.Lease/"
AUTH: Final = "/etcdserverpb.Auth/"
CLUSTER: Final = "/etcdserverpb.Cluster/"
MAINTENANCE: Final = "/etcdserverpb.Maintenance/"
WATCH: Final = "/etcdserverpb.Watch/Watch"
LOCK: Final = "/v3lockpb.Lock/"
ELECTION: Final = "/v3electionpb.Election/"


@dataclass(frozen=True)
class Target:
    """A lock of a namespace, and the candidate that leads it."""

    namespace: str
    lock: str
    key: str
    lease: int
    created: int

    @property
    def prefix(self) -> str:
        return f"/leasehold/locks/{self.namespace}/"

    @property
    def queue(self) -> str:
        return f"{self.prefix}{self.lock}/queue"

    @classmethod
    def read(cls, etcdctl: Etcdctl, namespace: str, lock: str) -> "Target":
        """The first candidate of the lock."""
        first = etcdctl.prefix(f"/leasehold/locks/{namespace}/{lock}/queue/")[0]
        return cls(namespace, lock, first.key, first.lease, first.create_revision)


def end_of(prefix: str) -> bytes:
    raw = prefix.encode()
    return raw[:-1] + bytes([raw[-1] + 1])


def on_keys(target: Target) -> Calls:
    """Reading, writing, comparing and watching the target's keys."""
    key, prefix, end = target.key, target.prefix, end_of(target.prefix)
    put, get = {1: key, 2: "stolen"}, {1: key}
    compare = {1: 0, 2: 2, 3: key, 6: 1}
    return {
        "read a key": (KV + "Range", get),
        "read the spec": (KV + "Range", {1: f"{prefix}{target.lock}/spec"}),
        "read all keys": (KV + "Range", {1: prefix, 2: end}),
        "count keys": (KV + "Range", {1: prefix, 2: end, 9: 1}),
        "list keys": (KV + "Range", {1: prefix, 2: end, 8: 1}),
        "read without the quorum": (KV + "Range", {1: key, 7: 1}),
        "read an old revision": (KV + "Range", {1: key, 4: target.created}),
        "write a key": (KV + "Put", {1: f"{prefix}{target.lock}/other", 2: "x"}),
        "write the spec": (KV + "Put", {1: f"{prefix}{target.lock}-2/spec", 2: "{}"}),
        "delete a key": (KV + "DeleteRange", {1: f"{prefix}{target.lock}/other"}),
        "compare a key": (KV + "Txn", {1: [compare]}),
        "write in a transaction": (KV + "Txn", {2: [{2: {**put, 1: f"{prefix}{target.lock}/other"}}]}),
        "read in the branch not taken": (KV + "Txn", {1: [], 3: [{1: get}]}),
        "write in a transaction within": (KV + "Txn", {2: [{4: {2: [{2: {**put, 1: f"{prefix}x"}}]}}]}),
        "watch a key": (WATCH, {1: get}),
        "watch all keys": (WATCH, {1: {1: prefix, 2: end}}),
        "watch from an old revision": (WATCH, {1: {1: prefix, 2: end, 3: target.created}}),
        "who leads, by the election API": (ELECTION + "Leader", {1: target.queue}),
        "observe, by the election API": (ELECTION + "Observe", {1: target.queue}),
    }


def on_lease(target: Target, own_key: str) -> Calls:
    """Using and ending the target's lease; `own_key` is the caller's."""
    return {
        "renew a lease": (LEASE + "LeaseKeepAlive", {1: target.lease}),
        "keys of a lease": (LEASE + "LeaseTimeToLive", {1: target.lease, 2: 1}),
        "attach an own key to a lease": (KV + "Put", {1: own_key, 2: "x", 3: target.lease}),
        "attach it in a transaction": (KV + "Txn", {2: [{2: {1: own_key, 2: "x", 3: target.lease}}]}),
    }


def harmful(target: Target, own: Target) -> Calls:
    """What would end the target's terms if it were allowed; never tried with rights."""
    key = target.key
    leader = {1: target.queue, 2: key, 3: target.created, 4: target.lease}
    everything = {1: "\0", 2: "\0"}
    return {
        "delete the leader's key": (KV + "DeleteRange", {1: key}),
        "overwrite the leader's key": (KV + "Put", {1: key, 2: "stolen"}),
        "delete all of its keys": (KV + "DeleteRange", {1: target.prefix, 2: end_of(target.prefix)}),
        "delete in a transaction": (KV + "Txn", {2: [{3: {1: key}}]}),
        "delete everything": (KV + "DeleteRange", everything),
        "read everything": (KV + "Range", everything),
        "watch everything": (WATCH, {1: everything}),
        "read one key more than its own": (KV + "Range", {1: own.prefix, 2: end_of(own.prefix) + b"\0"}),
        "read from its own on": (KV + "Range", {1: own.prefix, 2: "\0"}),
        "revoke the leader's lease": (LEASE + "LeaseRevoke", {1: target.lease}),
        "list all leases": (LEASE + "LeaseLeases", {}),
        "lock, by the lock API": (LOCK + "Lock", {1: target.queue, 2: own.lease}),
        "unlock, by the lock API": (LOCK + "Unlock", {1: key}),
        "campaign, by the election API": (ELECTION + "Campaign", {1: target.queue, 2: own.lease, 3: "x"}),
        "proclaim, by the election API": (ELECTION + "Proclaim", {1: leader, 2: "x"}),
        "resign, by the election API": (ELECTION + "Resign", {1: leader}),
    }


def on_users(user: str, target_user: str) -> Calls:
    """Administration of users: for the caller's own rights, and against the target's."""
    right = {1: 2, 2: "/leasehold/", 3: "/leasehold0"}
    return {
        "turn authentication off": (AUTH + "AuthDisable", {}),
        "list users": (AUTH + "UserList", {}),
        "list roles": (AUTH + "RoleList", {}),
        "read another's user": (AUTH + "UserGet", {1: target_user}),
        "read another's role": (AUTH + "RoleGet", {1: target_user}),
        "add a user": (AUTH + "UserAdd", {1: "mine", 3: {1: 1}}),
        "delete the other's user": (AUTH + "UserDelete", {1: target_user}),
        "delete the other's role": (AUTH + "RoleDelete", {1: target_user}),
        "add a role": (AUTH + "RoleAdd", {1: "mine"}),
        "take the other's role": (AUTH + "UserGrantRole", {1: user, 2: target_user}),
        "take the role root": (AUTH + "UserGrantRole", {1: user, 2: "root"}),
        "take the other's role away": (AUTH + "UserRevokeRole", {1: target_user, 2: target_user}),
        "widen its own role": (AUTH + "RoleGrantPermission", {1: user, 2: right}),
        "narrow the other's role": (AUTH + "RoleRevokePermission", {1: target_user, 2: "/leasehold/"}),
        "change its own password": (AUTH + "UserChangePassword", {1: user, 2: "secret"}),
        "change the other's password": (AUTH + "UserChangePassword", {1: target_user, 2: "secret"}),
        "log in as the other": (AUTH + "Authenticate", {1: target_user, 2: ""}),
        "log in as root": (AUTH + "Authenticate", {1: "root", 2: "root"}),
    }


def on_members(member: int, revision: int) -> Calls:
    """Administration of the members and of what they store."""
    urls = ["http://127.0.0.1:1"]
    return {
        "add a member": (CLUSTER + "MemberAdd", {1: urls}),
        "remove the member": (CLUSTER + "MemberRemove", {1: member}),
        "move the member": (CLUSTER + "MemberUpdate", {1: member, 2: urls}),
        "promote the member": (CLUSTER + "MemberPromote", {1: member}),
        "move the leadership": (MAINTENANCE + "MoveLeader", {1: member}),
        "compact": (KV + "Compact", {1: revision}),
        "defragment": (MAINTENANCE + "Defragment", {}),
        "take a snapshot": (MAINTENANCE + "Snapshot", {}),
        "hash the database": (MAINTENANCE + "Hash", {}),
        "hash the keys": (MAINTENANCE + "HashKV", {}),
        "raise the alarm": (MAINTENANCE + "Alarm", {1: 1, 2: member, 3: 1}),
        "disarm the alarm": (MAINTENANCE + "Alarm", {1: 2, 2: member, 3: 1}),
        "downgrade": (MAINTENANCE + "Downgrade", {1: 1, 2: "3.4.0"}),
    }
