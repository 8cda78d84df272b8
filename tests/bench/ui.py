"""The page: ten thousand locks in a browser, and what fifty browsers cost its process."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

from leasehold.base import clock
from leasehold.etcd.client import EtcdClient
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from tests.bench.processes import cpu_seconds, memory
from tests.bench.samples import Sample, Table, megabytes, milliseconds, percentiles, say
from tests.bench.scale import Bench
from tests.support.browser import Browser, why_no_browser
from tests.support.ui_page import UiPage, crowd, put_crowd

ROOT = "/ui-bench"
BROWSERS = 50
CHANGES_PER_SECOND = 10

# When an element first has this text, by the same clock as this process's.
_WATCH = """
window.shownAt = 0;
const place = document.getElementById(arguments[0]), text = arguments[1];
new MutationObserver(() => {
  const found = (place.querySelector('td:nth-child(2)') || place).innerText;
  if (!window.shownAt && found.includes(text)) window.shownAt = Date.now();
}).observe(place, { childList: true, subtree: true, characterData: true });
"""


def run(bench: Bench) -> list[Table]:
    """In a real browser first, and then with many clients that only listen."""
    names = crowd(bench.scale.ui_locks)
    say(f"ui: {len(names)} locks")
    leases = put_crowd(bench.etcd.url, ROOT, names)
    with contextlib.closing(UiPage(bench.etcd.url, ROOT, env=bench.env)) as page:
        page.start()
        page.wait_for_log("following")
        tables = [_in_browser(bench, page, names)] if why_no_browser() is None else []
        return [*tables, _many(bench, page, names, leases)]


def _in_browser(bench: Bench, page: UiPage, names: list[LockName]) -> Table:
    kinds = ("first paint", "rows shown", "failover shown", "etcd's standstill shown")
    painted, rows, failover, stale = (Sample(f"leasehold ui: {kind}") for kind in kinds)
    with Browser() as browser:
        for _ in range(bench.scale.ui_loads):
            browser.open("about:blank")
            browser.open(page.url)
            browser.wait("return document.querySelectorAll('#rows tr').length > 0")
            marks = browser.run(
                "return [performance.getEntriesByName('first-contentful-paint')[0]?.startTime || 0,"
                " performance.getEntriesByName('rows')[0].startTime]"
            )
            painted.add(marks[0] / 1000)
            rows.add(marks[1] / 1000)
        for name in names[: 20 * bench.scale.ui_failovers : 20]:
            failover.add(_failover(bench, browser, name))
        for _ in range(bench.scale.ui_loads):
            stale.add(_staleness(bench, browser))
    notes = [f"{len(names)} locks, loopback, headless Chromium; a failover is the deletion of the leader's key."]
    return percentiles("The page in a browser", [painted, rows, failover, stale], milliseconds, notes)


def _failover(bench: Bench, browser: Browser, name: LockName) -> float:
    """Seconds from the deletion of the leader's key until the page shows the next one."""
    browser.run("document.getElementById('search').value = arguments[0];", str(name))
    browser.run("document.getElementById('search').dispatchEvent(new Event('input'));")
    successor = f"{name.name}-7d9f8c6b5d-00001"
    return _shown_after(browser, "rows", successor, lambda: bench.etcd.ctl.run("del", f"{Keys(name, ROOT).queue}1"))


def _staleness(bench: Bench, browser: Browser) -> float:
    """Seconds from the moment in which etcd stands still until the page says so."""
    browser.wait_text("#state", "live")
    try:
        return _shown_after(browser, "state", "stale", bench.etcd.process.pause)
    finally:
        bench.etcd.process.resume()


def _shown_after(browser: Browser, element: str, text: str, act: Callable[[], object]) -> float:
    """Seconds from an act until this element has that text, by the one wall clock of the machine."""
    browser.run(_WATCH, element, text)
    sent = time.time()
    act()
    browser.wait("return window.shownAt > 0")
    return float(browser.run("return window.shownAt")) / 1000 - sent


def _many(bench: Bench, page: UiPage, names: list[LockName], leases: list[int]) -> Table:
    """CPU and memory of the process with `BROWSERS` clients, at rest and under changes."""
    seconds, rows = bench.scale.ui_seconds, []
    with _clients(page, leases):
        time.sleep(2)
        for rate in (0, CHANGES_PER_SECOND):
            used, begun = cpu_seconds(page.pid), time.monotonic()
            changes = asyncio.run(_change(bench.etcd.url, names, rate, seconds))
            passed = time.monotonic() - begun
            share, has = (cpu_seconds(page.pid) - used) / passed, memory(page.pid)
            what = f"leasehold ui, {BROWSERS} browsers, {changes / passed:.1f} changes a second"
            rows.append([what, f"{share * 100:.1f} %", megabytes(has.rss)])
    note = f"{len(names)} locks of two candidates each; the browsers show the same {len(leases)} leases."
    return Table("The page's process", ("of a core", "RSS"), rows, [note])


async def _change(etcd: str, names: list[LockName], rate: int, seconds: float) -> int:
    """Change one lock after the other; how many changes there were."""
    begun, changes = time.monotonic(), 0
    async with EtcdClient([etcd], clock=clock.now) as client:
        while (passed := time.monotonic() - begun) < seconds:
            if rate:
                await client.put(f"{Keys(names[changes % len(names)], ROOT).queue}3", b"candidate %d" % changes)
                changes += 1
            await asyncio.sleep(max(0.0, changes / rate - passed) if rate else seconds)
    return changes


@contextlib.contextmanager
def _clients(page: UiPage, leases: list[int]) -> Iterator[None]:
    """Listeners as a browser is one: the stream of events, read as it comes, and the leases that it shows."""
    host, port = page.url.removeprefix("http://").rstrip("/").split(":")
    lines = [socket.create_connection((host, int(port))) for _ in range(BROWSERS)]
    show = ",".join(f"{lease:x}" for lease in leases)
    try:
        for line in lines:
            line.sendall(f"GET /events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
            threading.Thread(target=_drain, args=(line,), daemon=True).start()
        with socket.create_connection((host, int(port))) as asker:
            asker.sendall(f"GET /show?leases={show} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
            asker.recv(4096)
        yield
    finally:
        for line in lines:
            line.close()


def _drain(line: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while line.recv(1 << 20):
            pass
