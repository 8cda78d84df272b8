"""The process that a guardian is: its set-up, and what it does if the guardian fails.

It must start quickly and stay small: it imports only a few modules of the standard library.
"""

from __future__ import annotations

import os
import sys
import time

from leasehold.exec import kill_tree, process_tree
from leasehold.exec.guardian import RETRY_KILL_SECONDS, Guardian
from leasehold.exec.job_control import JobControl


def main() -> None:
    """Started by guardian_link.py as `CONTROL REPORT MARGIN SHARED CMD…`: two descriptors, seconds, 0 or 1.

    With SHARED 1, the command stays in leasehold's process group.
    """
    control, report, margin, shared, *command = sys.argv[1:]
    process_tree.set_name("lh-guard")  # not "leasehold…": `pkill -9 leasehold` must not kill both of us at once
    process_tree.become_subreaper()
    for descriptor in (int(control), int(report)):
        os.set_inheritable(descriptor, False)
        os.set_blocking(descriptor, False)
    jobs = JobControl(os.getpgrp() if shared == "1" else None)
    jobs.stand_apart()
    try:
        Guardian(command, int(control), int(report), float(margin), jobs).run()
    except BaseException:  # whatever happened, the tree must not outlive the guardian
        _kill_all()
        _report_bug(int(report))
        sys.exit(1)


def _report_bug(report: int) -> None:
    """Let leasehold log it. Our standard error may be a pipe that nobody reads: then we would never end."""
    import traceback  # not before it is needed: this process must stay small

    try:
        os.write(report, f"bug {traceback.format_exc()!r}\n".encode())
    except OSError:  # nobody listens any more
        return


def _kill_all() -> None:
    while process_tree.reap(lambda pid, status: None):
        try:
            kill_tree.kill()
        except OSError:  # perhaps out of memory or file descriptors: all that is left is to try again
            time.sleep(RETRY_KILL_SECONDS)
