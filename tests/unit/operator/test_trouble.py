"""A trouble that lasts is told once, not with every attempt."""

import logging

import pytest

from leasehold.operator.trouble import RepeatedFailureLog


def test_what_lasts_is_told_when_it_begins_changes_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="trouble")
    trouble = RepeatedFailureLog(logging.getLogger("trouble"), "the Locks cannot be listed")
    trouble.over()
    for reason in ("no answer", "no answer", "forbidden", "no answer"):
        trouble.because(reason)
    trouble.over()
    trouble.over()
    assert caplog.messages == [
        "the Locks cannot be listed: no answer; trying again",
        "the Locks cannot be listed: forbidden; trying again",
        "the Locks cannot be listed: no answer; trying again",
        "over: the Locks cannot be listed",
    ]
