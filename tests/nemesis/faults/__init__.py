"""Every fault there is: objects that know whether they are available, how to inject and how to heal."""

from tests.nemesis.faults.base import Fault
from tests.nemesis.faults.lock import LOCK_FAULTS
from tests.nemesis.faults.members import MEMBER_FAULTS
from tests.nemesis.faults.network import NETWORK_FAULTS
from tests.nemesis.faults.sidecars import SIDECAR_FAULTS
from tests.nemesis.faults.users import USER_FAULTS

OUTER: tuple[type[Fault], ...] = (*MEMBER_FAULTS, *NETWORK_FAULTS)
"""Faults of etcd and of the network: what the sidecars must bear."""
INNER: tuple[type[Fault], ...] = (*SIDECAR_FAULTS, *LOCK_FAULTS, *USER_FAULTS)
"""Faults of the sidecars themselves, and what people do to a lock and to users; they go well with an outer one."""
ALL = {fault.name: fault for fault in (*OUTER, *INNER)}

__all__ = ["ALL", "INNER", "OUTER", "Fault"]
