"""Threads that no signal is delivered to.

`leasehold exec` reads signals from a descriptor, for which every thread has to have them blocked: the kernel gives a
process's signal to any thread that has not, and its default action ends the process.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable


def start_without_signals(target: Callable[[], None], name: str) -> threading.Thread:
    """Start a daemon thread. Raises RuntimeError if the system has no thread left."""
    thread = threading.Thread(target=target, name=name, daemon=True)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # a new thread inherits the mask
    try:
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return thread
