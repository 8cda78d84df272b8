"""Signals to leasehold exec, with their origin, and the end by a signal. Linux only.

The signals are blocked and read from a descriptor (signalfd), which tells those of the terminal from those of a
process. On a terminal, the kernel sends Ctrl-C and the like to the whole job: passed on, the command would get them
twice.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import struct
from collections.abc import Callable, Iterable
from typing import Final

from leasehold.base import interrupted
from leasehold.exec import process_tree
from leasehold.exec.guardian import KEPT
from leasehold.exec.terminal import STOPPED_BY_TERMINAL

_OF_THE_TERMINAL: Final = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH})
_IGNORED_BY_PYTHON: Final = frozenset({signal.SIGPIPE, signal.SIGXFSZ})
_RECORD_BYTES: Final = 128
_RECORD: Final = struct.Struct("=Iii")  # of struct signalfd_siginfo: the number, an error, the code
_SIGSET_BYTES: Final = 128  # of glibc and musl

_libc = ctypes.CDLL(None, use_errno=True)


def handled() -> set[int]:
    """Every signal that a command could handle; not those ignored at our start, which stay ignored, as under nohup."""
    numbers = signal.valid_signals() - KEPT - set(STOPPED_BY_TERMINAL) - _IGNORED_BY_PYTHON
    return {int(number) for number in numbers if signal.getsignal(number) is not signal.SIG_IGN}


class SignalReader:
    """Calls `take` on the event loop with each signal's number and whether the whole job got it from the terminal."""

    def __init__(self, numbers: Iterable[int], take: Callable[[int, bool], None]) -> None:
        wanted = frozenset(numbers)
        self._take = take
        self.mask_before: Iterable[int] = signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
        """The blocked signals before: for a program that is started while this reads."""
        self._descriptor = _signalfd(wanted)
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, 16 * _RECORD_BYTES)
        except BlockingIOError:
            return
        for start in range(0, len(data), _RECORD_BYTES):
            number, _, code = _RECORD.unpack_from(data, start)
            self._take(number, code > 0 and number in _OF_THE_TERMINAL)  # a positive code: the kernel sent it

    def close(self) -> None:
        """Read no more. The signals stay blocked: the process is about to end."""
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)


def _signalfd(numbers: Iterable[int]) -> int:
    mask = ctypes.create_string_buffer(_SIGSET_BYTES)
    for number in numbers:
        _libc.sigaddset(mask, number)
    descriptor = int(_libc.signalfd(-1, mask, os.O_NONBLOCK | os.O_CLOEXEC))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "signalfd failed")
    return descriptor


def die_of(number: int) -> int:
    """End by this signal, as the command did: a shell ends its script or loop after a command that died of SIGINT.

    Returns the exit code that a shell shows for it, if the kernel does not let us: a container's first process.
    """
    process_tree.disable_core_dumps()  # the command's own is enough
    return interrupted.die_of(number)
