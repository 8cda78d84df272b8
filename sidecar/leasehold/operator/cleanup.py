"""What is left to do on a cluster once the operator has been deleted: labels off the pods, then the Locks' statuses.

The chart runs `python -m leasehold.operator.cleanup` when it has been uninstalled. Exit codes: 0 all is done; 1 not.
"""

from __future__ import annotations

import sys
from typing import Final

from leasehold.base import clock
from leasehold.kube.call import KubeCall
from leasehold.kube.job import run_job
from leasehold.lock.kube_names import LEADER_LABEL
from leasehold.operator.last_known import mark_all
from leasehold.operator.unlabel import remove_labels

_LABELS_LEFT: Final = (
    f"Some pods may still have the label {LEADER_LABEL}, since an operator goes on labelling them: "
    f"`kubectl get pods -A -l {LEADER_LABEL}=true` names them."
)
_STATUSES_LEFT: Final = "Some Locks still show a status that nobody corrects: their Held may not be true any more."


async def _job(call: KubeCall) -> str:
    if not await remove_labels(call, clock.now):  # it ends only when no operator runs any more
        return _LABELS_LEFT
    return "" if await mark_all(call, clock.now) else _STATUSES_LEFT


if __name__ == "__main__":
    sys.exit(run_job(_job))
