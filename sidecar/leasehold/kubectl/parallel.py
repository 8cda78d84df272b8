"""Questions asked side by side, and given up together.

Each has a daemon thread of its own: one that hangs, in a name server perhaps, is left behind, and neither delays the
others nor keeps the program from ending.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from leasehold.kubectl.errors import ClusterError

T = TypeVar("T")
K = TypeVar("K")

LATE: Final = "it did not answer in time"


def ask_all(questions: Mapping[K, Callable[[], T]], seconds: float) -> dict[K, T | str]:
    """The answers after at most so many seconds; in place of one that failed or is late, the reason as a sentence."""
    answers: dict[K, T | str] = {}
    threads = [
        threading.Thread(target=_answer, args=(answers, key, ask), daemon=True) for key, ask in questions.items()
    ]
    end = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return {key: answers.get(key, LATE) for key in questions}


def _answer(answers: dict[K, T | str], key: K, ask: Callable[[], T]) -> None:
    try:
        answers[key] = ask()
    except ClusterError as error:
        answers[key] = str(error)
