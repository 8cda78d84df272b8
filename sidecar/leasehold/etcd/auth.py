"""The authentication token: made from a user name and the password file, kept until etcd no longer takes it.

A login costs etcd CPU time (bcrypt), and etcd computes to the end what its client has given up. One change of etcd's
users can void all tokens at once: if each client gave its login up after a request's time and tried again, no login
would ever end in time. So a client has one login under way, in the background, shared by all its calls. A call that
has no time left fails alone (`NotSent`); the login goes on, and its token is there for the next call.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from leasehold.base.threads.daemon_thread import run_in_daemon_thread
from leasehold.base.time_limit import time_limit
from leasehold.etcd.connection import Connection
from leasehold.etcd.deadline import Deadline
from leasehold.etcd.errors import BadSetting, EtcdError, LoginRefused, NoPassword, NotSent, OutcomeUnknown, Refused
from leasehold.etcd.methods import AUTHENTICATE
from leasehold.etcd.rpc_pb2 import AuthenticateRequest

LOGIN_SECONDS: Final = 60.0
"""How long the first login may take: longer than most leases, since one that is given up helps nobody. Then its
connection is given up, for another member: this one may have been frozen meanwhile.
"""
LONGEST_LOGIN_SECONDS: Final = 240.0
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 15.0


_WRONG_PASSWORD: Final = "etcdserver: authentication failed, invalid user ID or password"


class _WrongPassword(LoginRefused):
    """etcd has another password for this user: the file may hold the next one as well."""


class LoginPace:
    """How long the next login may take, and the pause before it: both grow with each failure in a row."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._failures = 0
        self._timeouts = 0
        self.ready_at = 0.0
        """When the next login may begin, on the event loop's clock."""

    @property
    def limit(self) -> float:
        """Seconds that the next login may take."""
        return float(min(LONGEST_LOGIN_SECONDS, LOGIN_SECONDS * 2.0 ** min(self._timeouts, 10)))

    def failed(self, now: float, *, timed_out: bool) -> None:
        """Note a failed login. A slow etcd gets more time for the next one, and is asked by fewer clients at once."""
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures, 10))
        self.ready_at = now + longest * self._rng.uniform(0.5, 1.0)
        self._failures += 1
        self._timeouts += timed_out

    def succeeded(self) -> None:
        """Note a login whose token was accepted."""
        self._failures = self._timeouts = 0


class Authenticator:
    """Adds the token to calls, where a user is set.

    etcd forgets tokens: when it restarts, when nobody used one for a while (each member counts by itself), and when
    its users change. The password file is read each time, so that a changed password is taken up; of several
    passwords, each is tried.
    """

    def __init__(self, user: str, password_file: Path | None) -> None:
        """Raise BadSetting when one of the two is missing, or the file cannot be used."""
        if user and password_file is None:
            raise BadSetting(f"the etcd user {user!r} has no password file: give both, or neither")
        if password_file is not None and not user:
            raise BadSetting(
                f"the etcd password file {password_file} is given without a user name: give both, or neither"
            )
        self._user = user
        self._file = password_file
        self._token: str | None = None
        self._accepted = True
        self._pace = LoginPace(random.Random())
        self._login: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        """The newest: a login that has paused uses it."""
        self._failure: EtcdError | None = None
        """Why the last login failed."""
        if password_file is not None:
            read_passwords(password_file)

    @property
    def enabled(self) -> bool:
        """Whether calls carry a token at all."""
        return bool(self._user)

    @property
    def needs_login(self) -> bool:
        """Whether the next call fetches a token."""
        return self.enabled and self._token is None

    async def metadata(self, connection: Connection, timeout: float) -> Mapping[str, str]:
        """What to send along with a call. Raises Refused when etcd does not take the password, else NotSent."""
        if not self._user:
            return {}
        if self._token is None:
            self._connection = connection
            await self._logged_in(timeout)
        return {"token": self._token} if self._token else {}

    def forget(self, metadata: Mapping[str, str]) -> None:
        """Etcd refused this token: the next call fetches a new one, unless another has already done so.

        A token that was never accepted is a failed login: tokens that are void at once must not lead to a loop.
        """
        if self._token == metadata.get("token", ""):
            self._token = None
            if not self._accepted:
                self._pace.failed(asyncio.get_running_loop().time(), timed_out=False)

    def accepted(self) -> None:
        """Etcd has answered a call that carried the token."""
        if not self._accepted:
            self._accepted = True
            self._pace.succeeded()

    def close(self) -> None:
        """End a login that is under way; calls that wait for it fail."""
        if self._login is not None:
            self._login.cancel()

    async def _logged_in(self, timeout: float) -> None:
        """Wait for the one login, which goes on when the time is up. Raises Refused or NotSent."""
        if self._login is None:
            self._login = asyncio.get_running_loop().create_task(self._log_in(), name="etcd login")
            self._login.add_done_callback(self._ended)
        login = self._login
        await asyncio.wait((login,), timeout=max(0.0, timeout))
        if not login.done() and self._failure is not None:
            raise self._failure.with_traceback(None)  # else it would grow with each call that is told
        if not login.done():
            raise NotSent(f"etcd has not authenticated {self._user!r} yet; the login goes on")
        if login.cancelled():
            raise NotSent("the etcd client is closed")
        login.result()

    def _ended(self, login: asyncio.Task[None]) -> None:
        self._login = None
        if not login.cancelled():
            login.exception()  # the calls that waited for it may have given up

    async def _log_in(self) -> None:
        """Log in once, after the pause that the last failure calls for. Raises Refused or NotSent."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._pace.ready_at - loop.time())
        begun, limit = loop.time(), self._pace.limit
        try:
            self._token, self._accepted = await self._authenticate(limit), False
        except EtcdError as error:
            self._failure = error
            self._pace.failed(loop.time(), timed_out=loop.time() - begun > 0.9 * limit)
            raise
        self._failure = None

    async def _authenticate(self, limit: float) -> str:
        assert self._connection is not None, "metadata has set it"
        *others, last = await self._passwords(limit)
        for password in others:
            with contextlib.suppress(_WrongPassword):
                return await self._token_for(password, self._connection, limit)
        return await self._token_for(last, self._connection, limit)

    async def _token_for(self, password: str, connection: Connection, limit: float) -> str:
        """The token, "" if nobody needs one. Raises LoginRefused, and NotSent."""
        request = AuthenticateRequest(name=self._user, password=password)
        try:
            answer = await connection.call(AUTHENTICATE, request, {}, Deadline(limit))
        except Refused as error:
            if error.message == "etcdserver: authentication is not enabled":
                return ""  # then nobody needs a token; when it is enabled later, calls are refused, and we come back
            who = f"user {self._user!r}, password file {self._file}"
            kind = _WrongPassword if error.message == _WRONG_PASSWORD else LoginRefused
            raise kind(f"{error.reason} ({who})", error.code) from error
        except OutcomeUnknown as error:
            raise NotSent(f"not authenticated: {error.reason}") from error
        return answer.token

    async def _passwords(self, limit: float) -> tuple[str, ...]:
        """Read the file, which may lie on a disk that hangs. Raises NotSent."""
        file = self._file
        assert file is not None, "__init__ has seen to it"
        try:
            async with time_limit(limit):
                return await run_in_daemon_thread(lambda: read_passwords(file), "password file")
        except BadSetting as error:
            raise NoPassword(str(error)) from error
        except OSError as error:  # TimeoutError is one
            why = "the disk does not answer" if isinstance(error, TimeoutError) else error.strerror
            raise NoPassword(f"the etcd password file {file} cannot be read: {why}") from None


def read_passwords(path: Path) -> tuple[str, ...]:
    """The passwords in a file, one a line, at least one. Raises BadSetting.

    A second one is the next: so a password can be changed in etcd before or after every client's file.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise BadSetting(f"the etcd password file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadSetting(f"the etcd password file {path} is not text in UTF-8") from error
    passwords = tuple(filter(None, (line.rstrip("\r") for line in lines)))
    if not passwords:
        raise BadSetting(f"the etcd password file {path} is empty: write the password into it")
    return passwords
