"""When a native sidecar may release: the signs, each alone and together, and real ports on loopback."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from leasehold.run import work_end
from leasehold.run.work_end import (
    DOUBT_SECONDS,
    ENDING,
    POLL_SECONDS,
    HealthPort,
    Signs,
    Surroundings,
    came_late,
    forget_mark,
    has_ended,
    refuses,
    wait_for_end,
)

NONE = Surroundings("", lambda: False, lambda: 0, None)


@pytest.mark.parametrize(
    ("signs", "held", "ended"),
    [
        (Signs(HealthPort.REFUSES), 0.0, True),
        (Signs(HealthPort.REFUSES, late=True), 0.0, False),
        (Signs(HealthPort.REFUSES, late=True), DOUBT_SECONDS, True),
        (Signs(HealthPort.REFUSES, connections=1), 100.0, False),
        (Signs(HealthPort.OPEN), 100.0, False),
        (Signs(), 2.0, False),
        (Signs(), DOUBT_SECONDS, True),
        (Signs(connections=1), 100.0, False),
    ],
)
def test_what_each_sign_means(signs: Signs, held: float, ended: bool) -> None:
    assert has_ended(signs, held) is ended


@pytest.mark.parametrize(
    ("began", "term", "late"),
    [(None, 100.0, False), (0.0, 5.0, False), (0.0, 21.0, True), (0.0, 30.0, True), (100.0, 50.0, True)],
)
def test_a_late_term_may_be_the_grace_periods_end(began: float | None, term: float, late: bool) -> None:
    assert came_late(began, term, 30.0) is late


@pytest.mark.parametrize(("grace", "mark_is_late"), [(4.0, 3.0), (9.0, 3.0), (30.0, 10.0)])
def test_the_hook_of_a_starved_node_may_come_late(grace: float, mark_is_late: float) -> None:
    """TERM comes as the grace period ends, however late the kubelet began to run the hook."""
    assert came_late(mark_is_late, grace, grace)


def test_a_grace_period_below_the_margin_is_always_in_doubt() -> None:
    assert came_late(0.0, 0.0, 1.0)


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)

    async def held(self, around: Surroundings) -> float:
        """Seconds from TERM to the release."""
        begun = self.now
        await wait_for_end(around, clock=lambda: self.now, sleep=self.sleep)
        return self.now - begun


async def listening() -> tuple[asyncio.Server, str]:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/healthz"


async def test_an_app_that_refuses_after_it_answered_has_ended() -> None:
    server, url = await listening()
    server.close()
    await server.wait_closed()
    assert await Time().held(replace(NONE, health_url=url, app_answered=lambda: True)) == 0.0


async def test_an_app_that_never_answered_proves_nothing() -> None:
    server, url = await listening()
    server.close()
    await server.wait_closed()
    assert await Time().held(replace(NONE, health_url=url)) >= DOUBT_SECONDS


async def test_an_open_health_port_is_waited_for() -> None:
    """However long it takes: then the kubelet ends us, and the lease runs out."""
    server, url = await listening()
    time = Time()

    async def sleep(seconds: float) -> None:
        await time.sleep(seconds)
        if time.now > 10.0:
            server.close()

    around = replace(NONE, health_url=url, app_answered=lambda: True)
    await wait_for_end(around, clock=lambda: time.now, sleep=sleep)
    assert time.now > 10.0


async def test_another_hosts_health_is_no_sign() -> None:
    """It may be a load balancer that refuses while the app works."""
    around = replace(NONE, health_url="http://app.example:8080/", app_answered=lambda: True)
    assert await Time().held(around) >= DOUBT_SECONDS


async def test_init_containers_have_the_whole_grace_period() -> None:
    assert await Time().held(replace(NONE, init_work=True, grace_seconds=8.0)) >= 8.0 + DOUBT_SECONDS


async def test_doubt_begins_with_the_last_sign_of_work() -> None:
    """A control connection is waited for, and whoever had it may have TERM later than we do."""
    left = iter([*[1] * 40, *[0] * 1000])
    held = await Time().held(replace(NONE, connections=lambda: next(left)))
    assert held >= DOUBT_SECONDS + 38 * POLL_SECONDS


async def test_the_mark_makes_it_hold_longer(tmp_path: Path) -> None:
    server, url = await listening()
    server.close()
    await server.wait_closed()
    mark = tmp_path / ENDING
    mark.touch()
    os.utime(mark, (mark.stat().st_mtime - 29.0,) * 2)
    around = replace(NONE, health_url=url, app_answered=lambda: True, state_dir=tmp_path)
    assert await Time().held(around) >= DOUBT_SECONDS
    forget_mark(tmp_path)
    forget_mark(tmp_path)
    assert await Time().held(around) == 0.0


async def test_a_name_is_refused_only_by_all_its_addresses() -> None:
    server, url = await listening()
    port = int(url.split(":")[2].split("/")[0])
    assert not await refuses("localhost", port)
    server.close()
    await server.wait_closed()
    assert await refuses("localhost", port)


async def test_a_hung_disk_tells_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nor does it stop the loop."""

    def hang(work: object, name: str) -> asyncio.Future[float]:
        return asyncio.get_running_loop().create_future()

    monkeypatch.setattr(work_end, "DISK_TIMEOUT_SECONDS", 0.01)
    monkeypatch.setattr(work_end, "run_in_daemon_thread", hang)
    assert await replace(NONE, state_dir=tmp_path).late(0.0)
