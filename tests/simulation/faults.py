"""All faults there are, by name: each an object that says what strikes, for how long, and what excludes what."""

from __future__ import annotations

from . import faults_from_outside as outside
from . import faults_of_etcd as etcd
from . import faults_of_pods as pods
from .fault import Fault

FAULTS = (
    Fault("freeze", pods.freeze, 2.0),
    Fault("crash", pods.crash, 1.5),
    Fault("stop", pods.stop, 0.5),
    Fault("hand_over", pods.hand_over),
    Fault("pause", pods.pause),
    Fault("sicken", pods.sicken),
    Fault("break_disk", pods.break_disk),
    Fault("cut_all", pods.cut_all, 2.0, "net"),
    Fault("cut_one", pods.cut_one, 1.5, "net"),
    Fault("fade", pods.fade, 2.0, "net"),
    Fault("roughen", pods.roughen, 2.0),
    Fault("silence", pods.silence, 1.5),
    Fault("disconnect", pods.disconnect),
    Fault("change_leader", etcd.change_leader, 0.5, "etcd"),
    Fault("usurp_leader", etcd.usurp_leader, 2.0, "etcd"),
    Fault("partition", etcd.partition, 2.5, "etcd"),
    Fault("relapse", etcd.relapse, 2.5, "etcd"),
    Fault("hang_disk", etcd.hang_disk, 1.5, "etcd"),
    Fault("hang_member", etcd.hang_member, 1.5, "etcd"),
    Fault("kill_member", etcd.kill_member, 1.5, "etcd"),
    Fault("refuse", etcd.refuse, 1.0, "refuse"),
    Fault("compact", etcd.compact),
    Fault("redeclare", outside.redeclare),
    Fault("delete_key", outside.delete_key),
    Fault("revoke_lease", outside.revoke_lease),
    Fault("usurp_key", outside.usurp_key),
    Fault("intrude", outside.intrude, 1.0),
)
THEMES = tuple(fault for fault in FAULTS if fault.name in ("fade", "partition", "relapse", "redeclare"))
"""What is worth many schedules of its own: bugs that show only when several things go wrong in one order."""
LOSSES = (
    Fault("lose_data", etcd.lose_data, 0.5, "etcd"),
    Fault("restore_bumped", etcd.restore_bumped, 0.5, "etcd"),
)
