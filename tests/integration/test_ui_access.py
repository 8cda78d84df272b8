"""The page without eyes or without a mouse: what Chromium tells a screen reader, and when; where the focus is."""

import contextlib
from collections.abc import Iterator

import pytest

from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.lock.record import Record
from leasehold.lock.spec import Spec
from tests.servers import EtcdServer
from tests.support.browser import Browser, why_no_browser
from tests.support.ui_page import UiPage, crowd, put_crowd

FIRST = LockName("team-00", "lock-00000")
SECOND = LockName("team-01", "lock-00001")
TAB, ENTER = "\ue004", "\ue007"

# Collects what each live region says from now on.
_LISTEN = """
window.said = [];
for (const place of document.querySelectorAll('[role=status], [role=alert], [aria-live]'))
  new MutationObserver(() => window.said.push(place.textContent)).observe(
    place, { childList: true, subtree: true, characterData: true });
"""


@pytest.fixture
def page(etcd: EtcdServer, root: str) -> Iterator[UiPage]:
    """A page of three locks."""
    put_crowd(etcd.url, root, crowd(3))
    with contextlib.closing(UiPage(etcd.url, root)) as started:
        started.start()
        yield started


def opened(browser: Browser, page: UiPage, lock: str = "") -> None:
    """Open it afresh, and wait until it is live and all is there."""
    browser.open("about:blank")
    browser.open(f"{page.url}#{lock}")
    browser.wait_text("#state", "live")
    browser.wait_text("#queue tbody" if lock else "#rows", "left")


def names(browser: Browser, role: str) -> list[str]:
    return [str(node["name"]) for node in browser.accessible() if node["role"] == role]


def put(etcd: EtcdServer, root: str, lock: LockName, number: int, name: str) -> None:
    """One more candidate of a lock."""
    etcd.ctl.run("put", Keys(lock, root).entry(number), Record(name, incarnation="i").encode().decode())


def test_roles_and_names_of_the_list(browser: Browser, page: UiPage) -> None:
    """Landmarks, a table with headers in both directions, a name for each control, how much of a lease is left."""
    opened(browser, page)
    found = browser.accessible()
    roles = {str(node["role"]) for node in found}
    assert {"banner", "main", "search", "navigation", "table", "status", "searchbox", "radio"} <= roles
    assert names(browser, "table") == ["Locks, who holds them and who waits"]
    assert names(browser, "columnheader") == ["Lock", "Holder", "Lease", "Waiting", "Token", "Since"]
    assert names(browser, "rowheader") == [f"team-0{n}/lock-0000{n}" for n in range(3)]
    assert names(browser, "searchbox") == ["Search"]
    assert [name.rstrip(" 0123") for name in names(browser, "radio")] == [
        "All", "Needs attention", "Nobody leads", "Suspended",
    ]  # fmt: skip
    assert all(name.strip() for role in ("link", "button") for name in names(browser, role))
    lease = [name for name in names(browser, "cell") if name.endswith(" left")]
    assert len(lease) == 3, names(browser, "cell")


def test_roles_and_names_of_one_lock(browser: Browser, page: UiPage) -> None:
    """Its name is read as it opens; each table is named by its heading, each button by what it copies."""
    opened(browser, page, str(FIRST))
    assert browser.run("return document.activeElement.id") == "one-name"
    assert str(FIRST) in names(browser, "heading")
    assert "Queue" in names(browser, "table")
    assert names(browser, "rowheader")[:2] == ["0 leads", "1"]
    assert "Copy the command: let the next one lead" in names(browser, "button")


@pytest.mark.parametrize("lock", ["", str(FIRST)])
def test_tables_stay_tables_on_a_phone(lock: str, page: UiPage) -> None:
    """Their lines are laid out one below the other, and still are rows with headers."""
    if reason := why_no_browser():
        pytest.skip(reason)
    with Browser(width=360, height=700) as phone:
        opened(phone, page, lock)
        roles = [str(node["role"]) for node in phone.accessible()]
        assert {"table", "row", "rowheader", "cell", "columnheader"} <= set(roles)


def test_focus_outlives_changes(browser: Browser, page: UiPage, etcd: EtcdServer, root: str) -> None:
    """Locks that change, come before it, or lose their leader, leave the focus where it is."""
    opened(browser, page)
    browser.run("document.querySelectorAll('#rows a')[1].focus()")
    put(etcd, root, SECOND, 9, "late")
    browser.wait_text("#rows tr:nth-child(2) td:nth-of-type(3)", "2")
    put(etcd, root, LockName("a-team", "lock"), 1, "first")
    browser.wait_text("#range", "of 4")
    assert browser.run("return document.activeElement.innerText") == str(SECOND)
    etcd.ctl.run("del", Keys(SECOND, root).prefix, "--prefix")
    browser.wait_text("#rows tr:nth-child(3)", "nobody is in the queue")
    assert browser.run("return document.activeElement.innerText") == str(SECOND)
    opened(browser, page, str(FIRST))
    browser.run("document.querySelectorAll('#commands button')[1].focus()")
    put(etcd, root, FIRST, 9, "late")
    browser.wait_text("#queue tbody", "late")
    focused = browser.run("return document.activeElement.ariaLabel")
    assert focused == "Copy the command: let the next one lead"


def test_focus_moves_to_a_neighbour(browser: Browser, page: UiPage, etcd: EtcdServer, root: str) -> None:
    """If the line that has it leaves the list, because it is no longer what was filtered for."""
    vacant = [LockName("x", name) for name in ("a", "b")]
    for one in vacant:
        etcd.ctl.run("put", Keys(one, root).spec, Spec().encode().decode())
    opened(browser, page)
    browser.click("label:has(#filter-nobody)")
    browser.wait_text("#range", "1–2 of 2")
    browser.run("document.querySelector('#rows a').focus()")
    put(etcd, root, vacant[0], 1, "anna")
    browser.wait_text("#range", "1–1 of 1")
    assert browser.run("return document.activeElement.innerText") == "x/b"
    put(etcd, root, vacant[1], 1, "bert")
    browser.wait("return !document.getElementById('empty').hidden")
    assert browser.run("return document.activeElement.id") == "content"


def test_focus_goes_where_a_reader_looks(browser: Browser, page: UiPage) -> None:
    """In the order of the page; from a lock back to its own line; to the content, without leaving the lock."""
    opened(browser, page)
    order = []
    for _ in range(5):
        browser.press(TAB)
        order.append(browser.run("const one = document.activeElement; return one.id || one.innerText"))
    assert order == ["skip", "Leasehold", "search", "filter-all", "team-00/lock-00000"]
    browser.press(TAB, ENTER)
    browser.wait_text("#one-name", str(SECOND))
    browser.press("\ue00c")  # Escape
    browser.wait("return document.getElementById('one').hidden")
    assert browser.run("return document.activeElement.innerText") == str(SECOND)
    opened(browser, page, str(FIRST))
    browser.run("document.getElementById('skip').focus()")
    browser.press(ENTER)
    assert browser.run("return [document.activeElement.id, location.hash]") == ["one-name", f"#{FIRST}"]


def test_it_says_what_was_asked_and_who_leads(browser: Browser, page: UiPage, etcd: EtcdServer, root: str) -> None:
    """What only goes on, such as leases and queues, is not said; a search's result is, and another leader."""
    opened(browser, page)
    browser.run(_LISTEN)
    browser.type("#search", "lock-00001")
    browser.wait("return window.said.includes('Locks 1–1 of 1')")
    opened(browser, page, str(FIRST))
    browser.run(_LISTEN)
    put(etcd, root, FIRST, 9, "late")
    browser.wait_text("#queue tbody", "late")
    put(etcd, root, FIRST, 8, "later")
    browser.wait_text("#queue tbody", "later")
    assert browser.run("return window.said") == []
    etcd.ctl.run("del", Keys(FIRST, root).entry(1))
    browser.wait("return window.said.length", timeout=120)
    assert browser.run("return window.said") == [f"{FIRST}: held by lock-00000-7d9f8c6b5d-00001"]


def test_a_cut_address_shows_the_list(browser: Browser, page: UiPage) -> None:
    """An address that is no text any more is no reason to show nothing."""
    browser.open("about:blank")
    browser.open(f"{page.url}#%E0%A4%A")
    browser.wait_text("#range", "of 3")
