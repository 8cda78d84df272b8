"""`kubectl proxy` on a socket of our own: kubectl's connection to the cluster, by kubectl's own rules.

Whatever decides who asks, which server is asked and on which way (kubeconfigs, their merging, flags, impersonation,
proxies, logins by other programs, a pod's service account) is kubectl's code. The socket lies in a directory that only
this user may enter.

kubectl keeps this process's terminal, so that a login can ask on it. Its complaints about failed requests are left out,
since their answers carry them. It ends with this process, however that ends: see `_watch_over`.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import IO, Final

from leasehold.kubectl.cluster_ref import Login
from leasehold.kubectl.connection import explicit, value_of
from leasehold.kubectl.errors import ClusterError, MistakeError
from leasehold.kubectl.kubectl_program import reason

# All flags of `kubectl proxy` itself, so that no default of the user's kuberc takes their place. The filter protects
# ports from web pages: they cannot open a socket of the file system.
_FLAGS: Final = (
    "--port=8001",
    "--address=127.0.0.1",
    "--disable-filter=true",
    "--append-server-path=true",
    "--api-prefix=/",
    "--www=",
    "--keepalive=0s",
)
_SERVING: Final = b"Starting to serve on "
_START_SECONDS: Final = 60.0
_END_SECONDS: Final = 5.0
_LINGER_SECONDS: Final = 0.5
_LONGEST_PATH_BYTES: Final = 100  # of a socket: 103 on macOS, 107 on Linux
_WATCHER: Final = """trap '' INT TERM HUP QUIT; read -r _ || { kill "$1"; rm -f "$2/kubectl"; rmdir "$2"; }"""
# Level, option and size: LOCAL_PEERPID on macOS, elsewhere SO_PEERCRED, whose first field is the pid.
_PEER_PID: Final = (
    (0, 2, 4) if sys.platform == "darwin" else (socket.SOL_SOCKET, getattr(socket, "SO_PEERCRED", 17), 12)
)
_LOG_LINE: Final = re.compile(rb"^(?=[IWEF]\d{4} \d\d:)", re.MULTILINE)
_FAILED_REQUEST: Final = re.compile(rb"E\d{4} [^\]]*proxy_server\.go:\d+\] ")


class KubectlProxy:
    """A running `kubectl proxy` with the user's flags. Raises ClusterError if kubectl refuses them."""

    def __init__(self, program: str, flags: Sequence[str], login: Login) -> None:
        if not hasattr(socket, "AF_UNIX"):
            raise MistakeError("kubectl leasehold needs Linux or macOS; on Windows, use it in WSL.")
        self._is_closed = False
        self._is_silent = login is Login.SILENT
        self._directory = _private_directory()
        self.socket = os.path.join(self._directory, "kubectl")
        words = [program, "proxy", f"--unix-socket={self.socket}", *_FLAGS, *explicit(flags)]
        try:
            self._process = _start(words, silent=self._is_silent)
        except OSError as error:
            shutil.rmtree(self._directory, ignore_errors=True)
            raise MistakeError(f"{program} cannot be started: {error.strerror}.") from None
        self._watchers = [_watch_over(self._process.pid, self._directory)]
        self._begin(flags)

    def _begin(self, flags: Sequence[str]) -> None:
        assert self._process.stdout is not None, "it is a pipe"
        assert self._process.stderr is not None, "it is a pipe"
        asks_server = bool(value_of(flags, "match-server-version"))
        verbose = bool(value_of(flags, "v") or value_of(flags, "vmodule"))
        self._relay = _Relay(self._process.stderr, hold=not asks_server, complete=verbose)
        try:
            if not _is_serving(self._process.stdout, None if asks_server else _START_SECONDS):
                raise self._refusal(flags)
        except BaseException:
            self.close()
            raise
        self._relay.release()
        if (other := self._behind_a_wrapper()) is not None:
            self._watchers.append(_watch_over(other, self._directory))

    def _behind_a_wrapper(self) -> int | None:
        """The pid of the kubectl that serves, if what was started is a script that does not end with it."""
        pid = _serving(self.socket)
        return None if pid in (0, self._process.pid) else pid

    def _refusal(self, flags: Sequence[str]) -> ClusterError:
        self._stop(_END_SECONDS)
        why = reason(self._relay.held())
        hint = "; kubectl config get-contexts lists those that are there" if why.startswith("context ") else ""
        sentence = f"kubectl cannot connect to the cluster: {why}{hint}."
        return MistakeError(sentence) if flags else ClusterError(sentence)

    @property
    def has_ended(self) -> bool:
        """Whether kubectl ended by itself."""
        return self._process.poll() is not None

    def close(self) -> None:
        """End kubectl, and remove the socket. A second time does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._stop(_LINGER_SECONDS)
        shutil.rmtree(self._directory, ignore_errors=True)
        for watcher in self._watchers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                watcher.communicate(b"\n", timeout=_END_SECONDS)

    def _stop(self, linger: float) -> None:
        """End kubectl, and pass on what it says last. A program that it started may keep the pipe open for longer."""
        if (other := self._behind_a_wrapper()) is not None:
            os.kill(other, signal.SIGTERM)
        if self._is_silent and not self.has_ended:
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.terminate()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._relay.join(linger)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None and not self._relay.is_alive():
                stream.close()


class _Relay(threading.Thread):
    """Passes kubectl's stderr on, as it comes; with `hold`, only from `release` on.

    Without `complete`, the log's lines about failed requests are left out.
    """

    def __init__(self, stream: IO[bytes], *, hold: bool, complete: bool) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._complete = complete
        self._lock = threading.Lock()
        self._held: bytearray | None = bytearray() if hold else None
        self.start()

    def run(self) -> None:
        """Until kubectl, and whatever it started, has closed its stderr."""
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(self._stream.fileno(), 65536):
                with self._lock:
                    if self._held is None:
                        self._pass_on(chunk)
                    else:
                        self._held += chunk

    def held(self) -> str:
        """What was held back."""
        with self._lock:
            return bytes(self._held or b"").decode(errors="replace")

    def release(self) -> None:
        """Pass on what was held back, and all that follows."""
        with self._lock:
            if self._held:
                self._pass_on(bytes(self._held))
            self._held = None

    def _pass_on(self, chunk: bytes) -> None:
        parts = _LOG_LINE.split(chunk)  # the log writes a message, of however many lines, in one piece
        kept = parts if self._complete else [part for part in parts if not _FAILED_REQUEST.match(part)]
        sys.stderr.write(b"".join(kept).decode(errors="replace"))
        sys.stderr.flush()


def _is_serving(stdout: IO[bytes], seconds: float | None) -> bool:
    """Wait until kubectl serves; False if it ends instead. What it asks on the terminal is passed on to stderr."""
    seen = b""
    while select.select([stdout], [], [], seconds)[0]:
        chunk = os.read(stdout.fileno(), 65536)
        seen += chunk
        if not chunk or _SERVING in seen:
            return bool(chunk)
        sys.stderr.write(chunk.decode(errors="replace"))
        sys.stderr.flush()
        seconds = None  # somebody is asked for a name or password
    return False


def _start(words: Sequence[str], *, silent: bool) -> subprocess.Popen[bytes]:
    """Start kubectl: on the terminal, or in a session of its own, in which programs find none to ask on."""
    pipe, stdin = subprocess.PIPE, subprocess.DEVNULL if silent else None
    return subprocess.Popen(words, stdin=stdin, stdout=pipe, stderr=pipe, bufsize=0, start_new_session=silent)


def _serving(path: str) -> int:
    """The pid of the process that listens on a socket; 0 if there is none, or the system does not tell."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(_END_SECONDS)
        asking.connect(path)
        told = asking.getsockopt(*_PEER_PID)
        return int.from_bytes(told[:4], sys.byteorder)
    return 0


def _private_directory() -> str:
    """A new directory that only this user may enter, with a path short enough for a socket in it."""
    made = tempfile.mkdtemp(prefix="leasehold-")
    if len(os.fsencode(made)) <= _LONGEST_PATH_BYTES - len("/kubectl"):
        return made
    os.rmdir(made)
    return tempfile.mkdtemp(prefix="leasehold-", dir="/tmp")


def _watch_over(pid: int, directory: str) -> subprocess.Popen[bytes]:
    """Start a shell that ends `pid` once this process has ended without `close`, as after SIGKILL.

    A line on the shell's stdin tells it that all is done. It only waits: Ctrl-C is for the others.
    """
    null = subprocess.DEVNULL
    words = ["/bin/sh", "-c", _WATCHER, "leasehold", str(pid), directory]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=null, stderr=null)
