"""Who may read the page: hosts, sites, tokens; and the settings that say so."""

from pathlib import Path
from typing import Any

import pytest

from leasehold.settings.config import ConfigError
from leasehold.ui import guard
from leasehold.ui.config import ui_config
from leasehold.ui.guard import Guard

TOKEN = "a-token-of-the-test-0123"


class Request:
    """As much of a request as the guard looks at."""

    def __init__(self, path: str = "/events", *, cookie: str = "", **headers: str) -> None:
        self.path = path
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.cookies = {"leasehold-ui": cookie} if cookie else {}


def refused(token: str, request: Any) -> int:
    """The status of the refusal; 0 if there is none."""
    answer = Guard(token).check(request)
    return 0 if answer is None else answer.status


@pytest.mark.parametrize("host", ["127.0.0.1:4042", "localhost:9", "LOCALHOST", "[::1]:80", "127.0.0.1", "127.8.8.8:1"])
def test_names_of_loopback_are_answered(host: str) -> None:
    assert refused("", Request(Host=host)) == 0


@pytest.mark.parametrize(
    "host",
    ["", "example.com", "example.com:4042", "127.0.0.1.example.com:80", "localhost.example.com", "[::2]:80", "[x"],
)
def test_rebound_names_are_not(host: str) -> None:
    """A page whose own name was made to mean 127.0.0.1 sends that name."""
    assert refused("", Request(Host=host)) == 421


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_are_refused(site: str) -> None:
    assert refused("", Request(Host="localhost:1", Sec_Fetch_Site=site)) == 403
    assert refused("", Request("/", Host="localhost:1", Sec_Fetch_Site=site)) == 0  # a link to the page


def test_own_page_is_answered() -> None:
    assert refused("", Request(Host="localhost:1", Sec_Fetch_Site="same-origin")) == 0


def test_token_is_asked_for() -> None:
    assert refused(TOKEN, Request(Host="example.com")) == 401
    assert refused(TOKEN, Request("/", Host="example.com")) == 303
    assert refused(TOKEN, Request("/login", Host="example.com")) == 0


@pytest.mark.parametrize("sent", ["Bearer wrong", f"Basic {TOKEN}", "Bearer", "", "Bearer \u00e4"])
def test_wrong_token_is_refused(sent: str) -> None:
    assert refused(TOKEN, Request(Host="x", Authorization=sent)) == 401
    assert refused(TOKEN, Request(Host="x", cookie=TOKEN)) == 401  # the cookie has a digest of it


def test_right_token_is_answered() -> None:
    assert refused(TOKEN, Request(Host="x", Authorization=f"Bearer {TOKEN}")) == 0


@pytest.mark.parametrize("content", ["", "short", "fifteen-chars-x", "with\nline-ends-in-the-midst", "\u00e4" * 20])
def test_poor_token_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(content)
    with pytest.raises(ValueError, match="at least 16 printable"):
        guard.read_token(tmp_path / "token")


def test_token_is_read_without_line_end(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert guard.read_token(tmp_path / "token") == TOKEN


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:4042", "[::1]:4042"])
def test_loopback_needs_no_token(address: str) -> None:
    assert ui_config(["--listen", address], {}).token_file is None


@pytest.mark.parametrize("address", [":4042", "0.0.0.0:4042", "10.1.2.3:80", "[::]:80", "my-host:80"])
def test_other_addresses_do(address: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--token-file"):
        ui_config(["--listen", address], {})
    (tmp_path / "token").write_text(TOKEN)
    assert ui_config(["--listen", address, "--token-file", str(tmp_path / "token")], {}).listen.port


def test_policy_allows_nothing_of_others() -> None:
    policy = guard.SECURITY_HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
