"""Parsers of settings: each function turns text into a value, or raises ValueError that says how to fix it.

The message completes the sentence "--flag is 'text': …", so it says what would be right, and what is wrong unless that
is obvious. Some parsers check the file system; none opens a connection.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from leasehold.base.address import bracketed
from leasehold.lock.names import MAX_IDENTITY, sanitise
from leasehold.lock.spec import MAX_TTL, MIN_TTL

MAX_SECONDS = 3600
MAX_ROOT_CHARACTERS = 512
MAX_SOCKET_PATH_BYTES = 107  # bytes of sockaddr_un.sun_path on Linux, less the closing zero
ETCD_PORT = 2379

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?([0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18})")
_DURATION = re.compile(r"([0-9]{1,18})([smhd]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([-A-Za-z0-9_.]*[A-Za-z0-9_])?\.?")
_ROOT = re.compile(r"(/[A-Za-z0-9._~:@+=-]+)+")

T = TypeVar("T")


def integer(low: int, high: int, what: str) -> Callable[[str], int]:
    """A parser of integers in ASCII digits from `low` to `high`."""

    def read(text: str) -> int:
        if not _INTEGER.fullmatch(text) or not low <= int(text) <= high:
            raise ValueError(f"use {what} from {low} to {high}")
        return int(text)

    return read


def seconds(low: float, high: float = MAX_SECONDS) -> Callable[[str], float]:
    """A parser of durations in seconds, from `low` to `high`; no NaN, infinity or unit."""

    def read(text: str) -> float:
        if not _DECIMAL.fullmatch(text) or not low <= float(text) <= high:
            raise ValueError(f"use a number of seconds from {low:g} to {high:g}, without a unit")
        return float(text)

    return read


def duration(low: int, high: int) -> Callable[[str], int]:
    """A parser of durations in whole seconds, or with one of the units s, m, h and d; `low` and `high` in seconds."""

    def read(text: str) -> int:
        found = _DURATION.fullmatch(text)
        length = int(found[1]) * _UNITS[found[2]] if found else 0
        if not low <= length <= high:
            raise ValueError(f"use a duration such as 90, 15m, 6h or 1d, from {low} to {high} seconds")
        return length

    return read


ttl = integer(MIN_TTL, MAX_TTL, "a whole number of seconds")
priority = integer(-(2**31), 2**31 - 1, "a whole number")


def max_drift(text: str) -> float:
    """The limit of clock drift, as a fraction above 0 and below a half."""
    if not _DECIMAL.fullmatch(text) or not 0 < float(text) < 0.5:
        raise ValueError("use a fraction above 0 and below 0.5, such as 0.01 for one per cent")
    return float(text)


def switch(text: str) -> bool:
    """A variable's yes or no."""
    meanings = {
        "true": True,
        "1": True,
        "yes": True,
        "on": True,
        "false": False,
        "0": False,
        "no": False,
        "off": False,
    }
    if text.lower() not in meanings:
        raise ValueError("use true or false")
    return meanings[text.lower()]


def one_of(*choices: str) -> Callable[[str], str]:
    """A parser of one of these words."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"use {', '.join(choices[:-1])} or {choices[-1]}")
        return text

    return read


def printable(text: str) -> str:
    """A name that is shown in etcd, in logs and on terminals."""
    if not text or text != text.strip() or sanitise(text) != text:
        raise ValueError(f"use 1 to {MAX_IDENTITY} printable characters, with no space at either end")
    return text


def name_or_file(text: str) -> str:
    """A name, or after @ the file that holds it on its only line."""
    if not text.startswith("@"):
        return printable(text)
    try:
        name = readable_file(text[1:]).read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError):
        raise ValueError("that file cannot be read as text in UTF-8; name another one") from None
    return printable(name)


def as_given(text: str) -> str:
    """Text that is checked later, together with other settings."""
    return text


def root(text: str) -> str:
    """The prefix of all keys in etcd."""
    if len(text) > MAX_ROOT_CHARACTERS or not _ROOT.fullmatch(text):
        raise ValueError("use a path such as /leasehold: it starts with a slash, does not end in one, has no spaces")
    return text


# --- addresses ---


def etcd_urls(text: str) -> tuple[str, ...]:
    """Comma-separated URLs of etcd members, each as `scheme://host:port`; repeated ones are dropped."""
    urls = tuple(dict.fromkeys(_etcd_url(part.strip()) for part in text.split(",")))
    if len({url.partition(":")[0] for url in urls}) > 1:
        raise ValueError("some URLs are http and some https; use one scheme for all members")
    return urls


def _etcd_url(text: str) -> str:
    url = _web_url(text, "http://127.0.0.1:2379")
    if url.path not in ("", "/") or url.query or url.fragment:
        raise ValueError("an etcd URL has nothing after its port; use scheme, host and port alone")
    return f"{url.scheme}://{bracketed(url.hostname or '')}:{url.port or ETCD_PORT}"


def web_url(text: str) -> str:
    """An http or https URL with a host and without a password."""
    _web_url(text, "http://127.0.0.1:8080/healthz")
    return text


def sidecar_url(text: str) -> str:
    """The base URL of a sidecar's public listener, without a closing slash."""
    url = _web_url(text, "http://127.0.0.1:4040")
    if url.scheme != "http" or url.path not in ("", "/") or url.query or url.fragment:
        raise ValueError("the sidecar answers on plain http and at no path; write http://127.0.0.1:4040, for example")
    return text.rstrip("/")


def _web_url(text: str, example: str) -> SplitResult:
    if re.search(r"[\s\x00-\x1f\x7f]", text) or not text.isascii():
        raise ValueError(f"a URL has no spaces and only ASCII characters; write {example}, for example")
    url = _split(text, example)
    if url.scheme not in ("http", "https") or "://" not in text:
        raise ValueError(f"that is not an http or https URL; write {example}, for example")
    if "@" in url.netloc:
        raise ValueError("user names and passwords do not belong in a URL; use their own settings")
    _host(url.hostname or "", example)
    return url


def _split(text: str, example: str) -> SplitResult:
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise ValueError(f"that is not a URL ({error}); write {example}, for example") from None
    if port == 0 or (port is None and url.netloc.endswith(":")):
        raise ValueError(f"a port is a number from 1 to 65535; write {example}, for example")
    return url


def _host(host: str, example: str) -> None:
    if not _is_ip(host) and not (_HOST.fullmatch(host) and ".." not in host):
        raise ValueError(f"it names no valid host; write {example}, for example")
    if not _is_ip(host) and re.fullmatch(r"[0-9.]+", host):
        raise ValueError(f"{host} is no IPv4 address; write four numbers from 0 to 255")


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def host_port(text: str) -> tuple[str, int]:
    """`host:port`, IPv6 in brackets, or `:port`; port 0 is any free one. The host comes back without brackets."""
    host, colon, port = text.rpartition(":")
    example = ":4040, 10.0.0.1:4040 or [fd00::1]:4040"
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError(f"write an address and a port from 0 to 65535, such as {example}")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"an IPv6 address stands in brackets, as in {example}")
    if not text.startswith(":"):
        _host(host, example)
    return host, int(port)


def loopback(text: str) -> tuple[str, int] | Path:
    """An address that only processes of the same pod can reach: loopback and a port, or `unix:PATH`."""
    if text.startswith("unix:"):
        return _socket_path(Path(text.removeprefix("unix:")))
    host, port = host_port(text)
    if host != "localhost" and not (_is_ip(host) and ipaddress.ip_address(host).is_loopback):
        raise ValueError("any client there can take the lock away; use 127.0.0.1:4041, [::1]:4041 or unix:/path")
    return host, port


def _socket_path(path: Path) -> Path:
    if not path.is_absolute() or len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        raise ValueError(f"use an absolute path of at most {MAX_SOCKET_PATH_BYTES} bytes after unix:")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ValueError(f"{path.parent} is not a directory that this process can write to; mount or create it")
    return path


# --- files and programs ---


def readable_file(text: str) -> Path:
    """A file that can be read now. Its content is read later, and again after a rotation."""
    path = Path(text)
    if not path.exists():
        raise ValueError("there is no such file; name one that exists, or mount it")
    if not path.is_file():
        raise ValueError("that is not a file; name the file itself")
    if not os.access(path, os.R_OK):
        raise ValueError("this process may not read that file; change its owner or mode")
    return path


def writable_directory(text: str) -> Path:
    """A directory in which files can be created now."""
    path = Path(text)
    if not path.is_dir():
        raise ValueError("there is no such directory; create it, or mount a volume there")
    if not os.access(path, os.W_OK | os.X_OK):
        raise ValueError("this process may not write to that directory; change its owner or mode, or mount a volume")
    return path


def command(text: str) -> tuple[str, ...]:
    """The words of a command line, split as by a shell, but no shell runs it. Its program must exist."""
    import shlex  # only here, for its memory
    import shutil

    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise ValueError(
            f"that cannot be split into words ({str(error).lower()}); close every quotation mark"
        ) from None
    if not words:
        raise ValueError("name a program")
    if "\0" in text or shutil.which(words[0]) is None:
        raise ValueError(f"there is no program {words[0]!r} that this process can run; give a path that exists here")
    return words
