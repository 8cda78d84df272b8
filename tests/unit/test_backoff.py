"""Pauses between tries: growing, bounded, spread, and short again after a success."""

import random

from leasehold.base.backoff import Backoff


def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(1.0, 5.0, jitter=0.0)
    assert [backoff.next_pause() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_success_starts_over() -> None:
    backoff = Backoff(1.0, 5.0, jitter=0.0)
    backoff.next_pause()
    backoff.next_pause()
    backoff.reset()
    assert backoff.next_pause() == 1.0


def test_each_pause_is_spread_by_its_jitter() -> None:
    backoff = Backoff(1.0, 1.0, jitter=0.5, rng=random.Random(7))
    pauses = [backoff.next_pause() for _ in range(100)]
    assert 0.5 <= min(pauses) < max(pauses) <= 1.0


def test_thousands_of_failures_do_not_overflow() -> None:
    assert Backoff(1.0, 9.0, jitter=0.0, failures=10_000).next_pause() == 9.0
