"""Who may read the page. Every request passes through here before its route is looked up.

Without a token the page listens on loopback, and any program of this machine may read it, as it may read etcd's port.
Any web page that this machine's browser shows could try as well, so two things are refused: a `Host` that is not a name
of loopback (else a page could rebind its own name to 127.0.0.1 and read the answers), and a request that the browser
says another site has sent.

With a token every request needs it: as `Authorization: Bearer`, or as the cookie that the form at `/login` sets. The
cookie has a digest of it, is sent to this host only, and is out of reach of scripts.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from leasehold.base.address import is_loopback
from leasehold.http import lean_aiohttp as aio
from leasehold.http.server import headers, refusal

MIN_TOKEN_CHARACTERS: Final = 16
_OPEN_PATHS: Final = ("/login", "/page.css", "/icon.svg", "/livez")
_MAX_FORM_BYTES: Final = 4096
_COOKIE: Final = "leasehold-ui"

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}


def read_token(path: Path) -> str:
    """The token in this file, without the line end. Raises ValueError that says how to fix it."""
    try:
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"it cannot be read as text ({error})") from None
    if len(token) < MIN_TOKEN_CHARACTERS or not (token.isascii() and token.isprintable()):
        raise ValueError(f"it must hold at least {MIN_TOKEN_CHARACTERS} printable ASCII characters")
    return token


class Guard:
    """The check of every request. `token` is empty if none is needed: then the server listens on loopback."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._digest = hashlib.sha256(b"leasehold ui " + token.encode()).hexdigest()

    def check(self, request: aio.BaseRequest) -> aio.Response | None:
        """The refusal of a request that may not be answered; None if it may."""
        if not self._token and not _names_loopback(request.headers.get("Host", "")):
            return refusal("This page is served on loopback only; open it as http://127.0.0.1:PORT/.", 421)
        if request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site") and request.path != "/":
            return refusal("Another site may not ask this.", 403)
        if self._token and request.path not in _OPEN_PATHS and not self._has_token(request):
            if request.path == "/":
                return aio.Response(status=303, headers=headers({"Location": "/login"}))
            return refusal("This needs the token: send it as Authorization: Bearer, or log in at /login.", 401)
        return None

    def _has_token(self, request: aio.BaseRequest) -> bool:
        kind, _, sent = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer" and hmac.compare_digest(sent.encode(), self._token.encode()):
            return True
        return hmac.compare_digest(request.cookies.get(_COOKIE, "").encode(), self._digest.encode())

    async def login(self, request: aio.BaseRequest) -> aio.Response:
        """`POST /login`: set the cookie if the form has the token."""
        body = await request.content.read(_MAX_FORM_BYTES)
        sent = parse_qs(body.decode(errors="replace")).get("token", [""])[0]
        if not (self._token and hmac.compare_digest(sent.strip().encode(), self._token.encode())):
            return aio.Response(status=303, headers=headers({"Location": "/login?wrong"}))
        cookie = f"{_COOKIE}={self._digest}; Path=/; HttpOnly; SameSite=Strict"
        return aio.Response(status=303, headers=headers({"Location": "/", "Set-Cookie": cookie}))


def _names_loopback(host: str) -> bool:
    """Whether a Host header names loopback. The port may be any: a forwarded port is another one."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if name.startswith("[") and name.endswith("]"):
        try:
            return ipaddress.ip_address(name[1:-1]).is_loopback
        except ValueError:
            return False
    return is_loopback(name)
