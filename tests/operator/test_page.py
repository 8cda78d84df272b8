"""The page in a cluster: it names the pods that are not in a lock's queue, as the Lock's status does."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from leasehold.lock.spec import Spec
from tests.cluster import ADMIN, ControlPlane
from tests.operator.kubectl_plugin import Plugin, ago, status_of
from tests.servers import PATIENCE, EtcdServer, wait_for
from tests.support.browser import Browser, why_no_browser
from tests.support.stored_lock import StoredLock
from tests.support.ui_page import UiPage

WHY = "the app has not answered as healthy yet: <b>127.0.0.1:9999</b> refuses"
MISSING = {"podUID": "u-1", "podName": "db-0", "reason": "app-starting", "message": WHY}


@pytest.fixture
def pages(etcd: EtcdServer, root: str, api: ControlPlane, tmp_path: Path) -> Iterator[Callable[[str], UiPage]]:
    """Starts a page that asks the API server as that user, by the files and variables that a pod has."""
    with contextlib.ExitStack() as stack:

        def start(user: str) -> UiPage:
            (tmp_path / "token").write_text(api.token(user))
            shutil.copy(api.authority.path, tmp_path / "ca.crt")
            parts = urlsplit(api.url)
            address = {"KUBERNETES_SERVICE_HOST": str(parts.hostname), "KUBERNETES_SERVICE_PORT": str(parts.port)}
            page = UiPage(
                etcd.url, root, flags=("--listen", "127.0.0.1:0", "--service-account", str(tmp_path)), env=address
            )
            stack.callback(page.close)
            page.start()
            page.wait_for_log("following")
            return page

        yield start


def declare(plugin: Plugin, stored: Callable[[str], StoredLock]) -> str:
    """A Lock in both places, and a pod that is missing; its name with its namespace."""
    stored("db").write_spec(Spec(ttl=15, uid="u").encode().decode())
    plugin.make("db", status_of(absent=[{**MISSING, "since": ago(30)}], absentCount=1))
    return f"{plugin.namespace}/db"


def test_missing_pods_are_named(
    plugin: Plugin, pages: Callable[[str], UiPage], stored: Callable[[str], StoredLock], root: str
) -> None:
    """With their reasons, as text; they go when the status says so."""
    if reason := why_no_browser():
        pytest.skip(reason)
    name = declare(plugin, stored)
    page = pages(ADMIN)
    with Browser() as browser:
        browser.open(f"{page.url}#{name}")
        browser.wait_text("#absent-pods tbody", WHY)
        assert browser.complaints() == []
        plugin.set("db", status_of(absent=[], absentCount=0))
        browser.wait("return document.getElementById('absent').hidden", timeout=PATIENCE)


def test_without_the_right_it_says_so(
    plugin: Plugin, api: ControlPlane, pages: Callable[[str], UiPage], stored: Callable[[str], StoredLock], root: str
) -> None:
    """All else is shown."""
    name = declare(plugin, stored)
    page = pages(api.service_account("nobody", plugin.namespace))
    wait_for(lambda: "absentError" in page.lock(name), "the refusal", PATIENCE)
    fields = page.lock(name)
    assert "403" in str(fields["absentError"])
    assert fields["state"] == "free"
