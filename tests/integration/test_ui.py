"""The page in a real browser, on a real etcd: live, at ten thousand locks, without etcd, with hostile names."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.lock.spec import Spec
from tests.bench.processes import memory
from tests.servers import EtcdServer, reserve_port
from tests.support.browser import Browser, why_no_browser
from tests.support.sidecars import LOCK, Sidecar, request
from tests.support.ui_page import UiPage, crowd, put_crowd

Sidecars = Callable[..., Sidecar]
NAME = LockName.parse(LOCK, "")
HOSTILE = "<img src=x onerror=\"document.title='markup'\"><script>document.title='script'</script>&amp;\u202e"
# Keeps what stands beside the bar while it is red: that is over soon.
_NOTE_RED = """
window.red = '';
new MutationObserver(() => {
  if (document.querySelector('#queue .bar')?.classList.contains('bad'))
    window.red += document.querySelector('#queue .lease').innerText;
}).observe(document.getElementById('queue'), { subtree: true, childList: true, attributes: true, characterData: true });
"""
LINES = "one line\u2028another\u0085and\nmore\x1b[31m"


@pytest.fixture
def pages() -> Iterator[Callable[..., UiPage]]:
    """Starts a page; arguments as those of UiPage."""
    with contextlib.ExitStack() as stack:

        def start(*args: object, **kwargs: object) -> UiPage:
            page = UiPage(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they are
            stack.callback(page.close)
            page.start()
            return page

        yield start


def opened(browser: Browser, page: UiPage, lock: str = "") -> None:
    """Open the page afresh, and wait until it is live."""
    browser.open("about:blank")
    browser.complaints()  # those of earlier tests
    browser.open(f"{page.url}#{lock}")
    browser.wait_text("#state", "live")


Pages = Callable[..., UiPage]


def test_failover_is_seen_live(
    browser: Browser, pages: Pages, sidecar_factory: Sidecars, etcd: EtcdServer, root: str
) -> None:
    """A killed leader's lease bar runs out in red; then the next one leads, and the terms say so."""
    anna = sidecar_factory("anna", ttl=15)
    anna.wait_leading()
    sidecar_factory("bert").wait_queued(1)
    page = pages(etcd.url, root)
    opened(browser, page, LOCK)
    browser.wait_text("#one-state", "held by anna")
    browser.wait_text("#queue tbody", "left")
    browser.run(_NOTE_RED)
    anna.kill()
    browser.wait("return window.red.includes('not renewed')")
    browser.wait_text("#one-state", "held by bert")
    browser.wait_text("#terms", "its lease ran out")
    assert [line.split()[0] for line in browser.texts("#terms tbody tr")] == ["bert", "anna"]
    assert browser.complaints() == []


def test_gap_and_handover(
    browser: Browser, pages: Pages, sidecar_factory: Sidecars, etcd: EtcdServer, root: str
) -> None:
    """A leader that gives up says so; while nobody is in the queue the row says that, and the next term has the gap."""
    only = sidecar_factory("only")
    only.wait_leading()
    page = pages(etcd.url, root)
    opened(browser, page)
    browser.wait_text("#rows", "only")
    only.post("/pause")
    browser.wait_text("#rows", "no candidate")
    only.post("/resume")
    browser.wait_text("#rows", "only")
    opened(browser, page, LOCK)
    browser.wait_text("#terms", "gave it up")
    newest = browser.texts("#terms tbody tr:first-child td:last-child")
    assert newest[0].endswith(" s")


def test_ten_thousand_locks(browser: Browser, pages: Pages, etcd: EtcdServer, root: str) -> None:
    """All are there, page by page; search and filters find one among them; a change of one out of sight is counted.

    The process that serves them stays small.
    """
    put_crowd(etcd.url, root, crowd(10_000))
    page = pages(etcd.url, root)
    opened(browser, page)
    browser.wait_text("#range", "1–50 of 10,000")
    browser.click("#next")
    browser.wait_text("#range", "51–100 of 10,000")
    browser.type("#search", "lock-04321")
    browser.wait("return document.querySelectorAll('#rows tr').length === 1")
    assert "lock-04321-7d9f8c6b5d-00000" in browser.text("#rows")
    spec = Keys(LockName("team-03", "lock-00003"), root).spec
    etcd.ctl.run("put", spec, Spec(suspend=True).encode().decode())
    browser.wait_text("fieldset", "Suspended 1")
    browser.click("label:has(#filter-suspended)")
    browser.wait_text("#empty", "No lock is like that")  # the search goes on
    browser.run("document.getElementById('search').value = ''")
    browser.type("#search", "03")
    browser.wait_text("#range", "1–1 of 1")
    assert memory(page.pid).rss < 90_000_000


def test_etcd_that_goes_and_comes(browser: Browser, pages: Pages, etcd_factory: Callable[..., EtcdServer]) -> None:
    """What is no longer proven is shown as stale; when etcd is back, so is the truth."""
    own = etcd_factory(name="etcd-ui")
    put_crowd(own.url, "/leasehold", crowd(3))
    page = pages(own.url)
    opened(browser, page)
    own.process.pause()
    browser.wait_text("#state", "stale: etcd does not answer")
    assert "lock-00000" in browser.text("#rows")
    own.process.resume()
    browser.wait_text("#state", "live")
    own.process.kill()
    browser.wait_text("#state", "stale")
    own.start()
    browser.wait_text("#state", "live")
    own.ctl.run("del", Keys(LockName("team-00", "lock-00000"), "/leasehold").prefix, "--prefix")
    browser.wait_text("#rows", "nobody is in the queue")


def test_process_that_goes_and_comes(browser: Browser, pages: Pages, etcd: EtcdServer, root: str) -> None:
    """A page without its process is stale, too, and takes up with the next one on the same port."""
    put_crowd(etcd.url, root, crowd(2))
    listen = ("--listen", f"127.0.0.1:{reserve_port()}")  # nobody else may take it in between
    page = pages(etcd.url, root, flags=listen)
    opened(browser, page)
    page.kill()
    browser.wait_text("#state", "stale: this page has lost its process")
    pages(etcd.url, root, flags=listen)
    browser.wait_text("#state", "live")


def test_without_etcd_it_waits(browser: Browser, pages: Pages, etcd_factory: Callable[..., EtcdServer]) -> None:
    """An etcd that is away at the start ends nothing: the page says so, and is there when etcd is."""
    own = etcd_factory(name="etcd-late")
    own.process.kill()
    page = pages(own.url)
    browser.open(page.url)
    browser.wait_text("#state", "waiting for etcd")
    own.start()
    browser.wait_text("#state", "live")


def test_hostile_identities_are_text(browser: Browser, pages: Pages, etcd: EtcdServer, root: str) -> None:
    """Whoever may write to etcd may write anything: it is shown as text, on both views, and nothing of it runs."""
    keys = Keys(NAME, root)
    record = {"identity": HOSTILE.rstrip("\u202e"), "incarnation": "i", "yieldTo": "<b>b</b>", "node": "<i>n</i>"}
    etcd.ctl.run("put", keys.entry(1), json.dumps(record))
    etcd.ctl.run("put", keys.entry(2), HOSTILE)
    etcd.ctl.run("put", keys.entry(3), LINES)
    page = pages(etcd.url, root)
    opened(browser, page)
    assert "<script>document.title" in browser.text("#rows")
    opened(browser, page, LOCK)
    browser.wait("return document.querySelectorAll('#queue tbody tr').length === 3")
    shown = browser.text("#queue tbody")
    assert "handing over to <b>b</b>" in shown
    assert "node <i>n</i>" in shown
    assert "\u202e" not in shown
    assert browser.run("return document.querySelectorAll('main img, main script, main b, main i').length") == 0
    assert "Leasehold" in str(browser.run("return document.title"))
    assert browser.complaints() == []


def test_no_other_host_is_asked(browser: Browser, pages: Pages, etcd: EtcdServer, root: str) -> None:
    put_crowd(etcd.url, root, crowd(2))
    page = pages(etcd.url, root)
    opened(browser, page)
    assert all(one.startswith(page.url) for one in browser.requested())


def test_policy_stops_inline_scripts(browser: Browser, pages: Pages, etcd: EtcdServer, root: str) -> None:
    """Were text taken for markup by mistake, the browser would still not run it, nor take it for markup at all."""
    page = pages(etcd.url, root)
    opened(browser, page)
    ran = browser.run(
        "try { const made = document.createElement('script'); made.textContent = 'document.title = 1';"
        "document.body.append(made); } catch (error) {}"
        "try { document.body.innerHTML = '<p>'; return 'markup'; } catch (error) { return document.title; }"
    )
    assert ran == "Leasehold"
    assert browser.complaints()


def test_keyboard_and_names(browser: Browser, pages: Pages, etcd: EtcdServer, root: str) -> None:
    """Without a mouse: `/` searches, Tab and Enter open a lock, Escape goes back; every control has a name."""
    put_crowd(etcd.url, root, crowd(2))
    page = pages(etcd.url, root)
    opened(browser, page)
    browser.press("/", *"team-01")
    browser.wait("return document.querySelectorAll('#rows tr').length === 1")
    browser.run("document.querySelector('#rows a').focus()")
    browser.press("\ue007")  # Enter
    browser.wait_text("#one-name", "team-01/lock-00001")
    assert browser.run("return document.activeElement.id") == "one-name"
    browser.wait_text("#commands", "kubectl leasehold describe lock-00001 -n team-01")
    names = browser.run(
        "return [...document.querySelectorAll('button, input, a')].map((one) => one.getAttribute('aria-label')"
        " || one.innerText || (one.labels && one.labels[0]?.innerText) || one.textContent)"
    )
    assert all(name.strip() for name in names)
    browser.press("\ue00c")  # Escape
    browser.wait("return document.getElementById('one').hidden")


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone(dark: bool, pages: Pages, etcd: EtcdServer, root: str) -> None:
    """Nothing is wider than the window, and text stands out from what is behind it, by day and by night."""
    if reason := why_no_browser():
        pytest.skip(reason)
    put_crowd(etcd.url, root, crowd(3))
    page = pages(etcd.url, root)
    with Browser(width=360, height=700, dark=dark) as phone:
        for lock in ("", "team-00/lock-00000"):
            opened(phone, page, lock)
            assert phone.run("return document.documentElement.scrollWidth <= window.innerWidth")
        assert phone.run("return getComputedStyle(document.body).color") == (
            "rgb(230, 232, 234)" if dark else "rgb(28, 32, 36)"
        )


def test_token_opens_the_page(pages: Pages, browser: Browser, etcd: EtcdServer, root: str, tmp_path: Path) -> None:
    """With a token nothing is told to whoever lacks it; the form sets a cookie, and the page is there."""
    (tmp_path / "token").write_text("a-token-of-this-test\n")
    put_crowd(etcd.url, root, crowd(2))
    page = pages(etcd.url, root, flags=("--listen", "0.0.0.0:0", "--token-file", str(tmp_path / "token")))
    for path in ("events", "where", "lock?name=team-00/lock-00000", "show?leases=1", "page.js"):
        assert request("GET", page.url + path)[0] == 401
    browser.open(page.url)
    browser.type("#token", "another-token-by-mistake")
    browser.click("#login button")
    browser.wait("return location.search === '?wrong'")
    browser.type("#token", "a-token-of-this-test")
    browser.click("#login button")
    browser.wait_text("#state", "live")


def test_it_only_reads(pages: Pages, etcd: EtcdServer, root: str) -> None:
    """It works with a user who may only read, and changes nothing."""
    put_crowd(etcd.url, root, crowd(2))
    before = etcd.ctl.json("get", root, "--prefix")["header"]["revision"]
    page = pages(etcd.url, root)
    page.wait_for_log("following 2 locks")
    time.sleep(2.0)  # two proofs
    assert etcd.ctl.json("get", root, "--prefix")["header"]["revision"] == before or not _written(etcd, root, before)


def _written(etcd: EtcdServer, root: str, revision: int) -> bool:
    """Whether a key of this root was written after that revision: the etcd is shared."""
    kvs = etcd.ctl.json("get", root, "--prefix").get("kvs", [])
    return any(one["mod_revision"] > revision for one in kvs)
