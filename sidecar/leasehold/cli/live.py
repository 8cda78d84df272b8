"""Printing once, or again whenever it has changed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final

from leasehold.base.records import dataclass

PAUSE_SECONDS: Final = 1.0
"""Between two looks."""
_CLEAR: Final = "\x1b[H\x1b[2J"


@dataclass(frozen=True, slots=True)
class Look:
    """What is to be printed, and the exit code. It has changed if `key` has; without a key, if the text has.

    `revision` is the one of etcd that it shows; 0 if it shows none.
    """

    text: str
    code: int = 0
    key: object = None
    revision: int = 0


def pause(_: Look) -> None:
    """Wait until it is time to look again, where nothing tells of a change."""
    time.sleep(PAUSE_SECONDS)


def show(look: Callable[[], Look], *, watch: bool, wait: Callable[[Look], None] = pause) -> int:
    """Print what a look shows, and return its exit code; with `watch`, go on until Ctrl-C.

    `wait` returns when there may be something new after that look.
    On a terminal each print replaces the one before; elsewhere it follows after an empty line.
    """
    seen = look()
    _print(seen.text, again=False, watch=watch)
    while watch:
        wait(seen)
        before, seen = seen, look()
        if (seen.key or seen.text) != (before.key or before.text):
            _print(seen.text, again=True, watch=watch)
    return seen.code


def _print(text: str, *, again: bool, watch: bool) -> None:
    if watch and sys.stdout.isatty():
        text = _CLEAR + text
    elif again:
        text = f"\n{text}"
    sys.stdout.write(text)
    sys.stdout.flush()
