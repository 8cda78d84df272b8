"""Logins, on a clock that jumps: one for all calls, never given up for a call's sake, paced after failures."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import random
import termios
from array import array
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from leasehold.etcd import auth
from leasehold.etcd.auth import LONGEST_LOGIN_SECONDS, LONGEST_PAUSE_SECONDS, Authenticator, LoginPace
from leasehold.etcd.connection import Connection
from leasehold.etcd.deadline import Deadline
from leasehold.etcd.errors import Code, NotSent, OutcomeUnknown, Refused
from tests.servers import wait_for
from tests.support.jumping_loop import run_jumping


class Member:
    """Stands for a connection: each login takes so many seconds, or ends in the error that is next."""

    def __init__(self, takes: float = 0.0, errors: list[Exception] | None = None) -> None:
        self.auth = SimpleNamespace(Authenticate=None)
        self.takes = takes
        self.errors = errors or []
        self.begun: list[float] = []

    async def call(self, method: Any, request: Any, metadata: Any, deadline: Deadline) -> Any:
        self.begun.append(asyncio.get_running_loop().time())
        assert request.password == "secret"
        await asyncio.sleep(min(self.takes, deadline.timeout))
        if self.takes > deadline.timeout:
            raise OutcomeUnknown(f"did not answer within {deadline.timeout:g} s")
        if self.errors:
            raise self.errors.pop(0)
        return SimpleNamespace(token=f"token {len(self.begun)}")

    @property
    def connection(self) -> Connection:
        return cast(Connection, self)


@pytest.fixture
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authenticator:
    def at_once(work: Callable[[], str], name: str) -> asyncio.Future[str]:
        future = asyncio.get_running_loop().create_future()
        future.set_result(work())
        return future

    monkeypatch.setattr(auth, "run_in_daemon_thread", at_once)  # a thread's time is not the loop's
    (tmp_path / "password").write_text("secret\n")
    return Authenticator("app", tmp_path / "password")


def test_all_calls_share_one_login(login: Authenticator) -> None:
    async def main() -> None:
        member = Member(takes=1.0)
        found = await asyncio.gather(*(login.metadata(member.connection, 1.5) for _ in range(30)))
        assert found == [{"token": "token 1"}] * 30
        assert len(member.begun) == 1

    run_jumping(main())


def test_a_login_outlives_the_calls_that_wait_for_it(login: Authenticator) -> None:
    """Each fails by its own deadline; the token is there for a call that waits as it comes."""

    async def main() -> None:
        member, loop = Member(takes=10.0), asyncio.get_running_loop()
        for _ in range(6):
            with pytest.raises(NotSent, match="the login goes on"):
                await login.metadata(member.connection, 1.5)
        assert loop.time() == pytest.approx(9.0)
        assert await login.metadata(member.connection, 1.5) == {"token": "token 1"}
        assert loop.time() == pytest.approx(10.0)
        assert len(member.begun) == 1

    run_jumping(main())


def test_a_cancelled_call_leaves_the_login_to_the_others(login: Authenticator) -> None:
    async def main() -> None:
        member = Member(takes=1.0)
        first, second = (asyncio.create_task(login.metadata(member.connection, 1.5)) for _ in range(2))
        await asyncio.sleep(0.5)
        first.cancel()
        assert await second == {"token": "token 1"}

    run_jumping(main())


def test_a_token_that_was_forgotten_is_fetched_once(login: Authenticator) -> None:
    async def main() -> None:
        member = Member()
        old = await login.metadata(member.connection, 1.5)
        login.forget(old)
        new = await login.metadata(member.connection, 1.5)
        login.forget(old)  # another call, which was refused later
        assert await login.metadata(member.connection, 1.5) == new == {"token": "token 2"}

    run_jumping(main())


def test_pauses_between_failed_logins_grow(login: Authenticator) -> None:
    """Each call is told why, also the one whose time is up in a pause."""

    async def main() -> list[float]:
        member, loop = (
            Member(errors=[Refused("wrong password", Code.INVALID_ARGUMENT)] * 99),
            asyncio.get_running_loop(),
        )
        while loop.time() < 150:
            with pytest.raises(Refused, match="wrong password"):
                await login.metadata(member.connection, 1.5)
        return [after - before for before, after in zip(member.begun, member.begun[1:], strict=False)]

    pauses = run_jumping(main())
    assert all(pause <= LONGEST_PAUSE_SECONDS + 0.01 for pause in pauses)
    assert pauses[0] <= 0.2
    assert min(pauses[-3:]) >= LONGEST_PAUSE_SECONDS / 2
    assert len(set(pauses)) == len(pauses)


def test_an_etcd_that_is_too_slow_gets_more_time(login: Authenticator) -> None:
    """A login of 200 s is given up a few times, each time later, and then comes about."""

    async def main() -> list[float]:
        member = Member(takes=200.0)
        while True:
            try:
                assert await login.metadata(member.connection, 1.5)
                return member.begun
            except NotSent:
                continue

    assert len(run_jumping(main())) == 3


def test_tokens_that_are_void_at_once_lead_to_no_loop(login: Authenticator) -> None:
    """Such as those of members that sign with different keys."""

    async def main() -> list[float]:
        member, loop = Member(), asyncio.get_running_loop()
        while loop.time() < 60:
            with contextlib.suppress(NotSent):
                login.forget(await login.metadata(member.connection, 1.5))
        return member.begun

    assert len(run_jumping(main())) < 20


def test_an_accepted_token_ends_the_pauses(login: Authenticator) -> None:
    async def main() -> None:
        member, loop = Member(), asyncio.get_running_loop()
        for _ in range(30):
            token = await login.metadata(member.connection, 1.5)
            login.accepted()
            login.forget(token)
        assert loop.time() == 0

    run_jumping(main())


def test_a_closed_client_fails_what_waits(login: Authenticator) -> None:
    async def main() -> None:
        member = Member(takes=10.0)
        waiting = asyncio.create_task(login.metadata(member.connection, 1.5))
        await asyncio.sleep(0.1)
        login.close()
        with pytest.raises(NotSent, match="closed"):
            await waiting

    run_jumping(main())


def test_a_success_ends_the_pauses() -> None:
    pace = LoginPace(random.Random(1))
    for _ in range(20):
        pace.failed(0.0, timed_out=True)
    assert pace.limit == LONGEST_LOGIN_SECONDS
    pace.succeeded()
    pace.failed(0.0, timed_out=False)
    assert pace.limit == auth.LOGIN_SECONDS
    assert pace.ready_at <= auth.FIRST_PAUSE_SECONDS


async def test_a_password_file_that_hangs_holds_nobody_up(tmp_path: Path) -> None:
    """A pipe that nobody writes to stands for a disk that hangs. Once it can be read, the login goes on."""
    (tmp_path / "password").write_text("secret\n")
    login = Authenticator("app", tmp_path / "password")
    (tmp_path / "password").unlink()
    os.mkfifo(tmp_path / "password")
    member = Member()
    with pytest.raises(NotSent, match="the login goes on"):
        await login.metadata(member.connection, 0.05)
    waiting = asyncio.create_task(login.metadata(member.connection, 60))
    writer = os.open(tmp_path / "password", os.O_RDWR)  # does not wait for the reader
    os.write(writer, b"secret")
    await asyncio.to_thread(_until_empty, writer)
    os.close(writer)
    assert await waiting == {"token": "token 1"}


def _until_empty(pipe: int) -> None:
    """Wait until the reader has taken it all."""
    wait_for(lambda: array("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0] == 0, "the password to be read")
