"""The end by a signal, after everything was cleaned up.

A shell goes on with its script or loop after a program that had Ctrl-C and ended with an exit code, whichever that is:
it takes the signal as dealt with. It ends with a program that died of the signal.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys


def die_of(number: int) -> int:
    """End by this signal. What is logged and printed by now is written first.

    Returns the exit code that a shell shows for it, if the kernel does not let us: a container's first process.
    """
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)  # first: a second Ctrl-C must not show a traceback
    if logging := sys.modules.get("logging"):
        logging.shutdown()
    with contextlib.suppress(OSError):  # the reader of our output may have left, too
        sys.stdout.flush()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    return 128 + number
