"""Waiting for an answer within a time limit."""

import asyncio
import socket
import time

import pytest

from leasehold.etcd.deadline import Deadline, NoAnswer, answered


async def test_an_answer_counts_though_the_time_ran_out_in_a_pause() -> None:
    """Both are found in one turn of the loop when the process goes on."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()
    ours, theirs = socket.socketpair()
    with ours, theirs:

        def read() -> None:
            if not answer.done():
                answer.set_result(ours.recv(10))

        loop.add_reader(ours, read)
        waiting = asyncio.create_task(answered(answer, Deadline(0.05)))
        await asyncio.sleep(0)
        theirs.send(b"answer")
        time.sleep(0.1)  # noqa: ASYNC251  # the pause
        assert await waiting == b"answer"
        loop.remove_reader(ours)


async def test_no_answer_in_time_is_told_to_who_waits_and_kept() -> None:
    answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    with pytest.raises(NoAnswer):
        await answered(answer, Deadline(0.0))
    assert isinstance(answer.exception(), NoAnswer)
