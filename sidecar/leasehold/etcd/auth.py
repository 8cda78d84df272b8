"""The authentication token: made from a user name and the password file, kept until etcd no longer takes it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from leasehold.etcd.connection import Connection
from leasehold.etcd.errors import BadSetting, EtcdError, NotSent, OutcomeUnknown, Refused
from leasehold.etcd.methods import AUTHENTICATE
from leasehold.etcd.rpc_pb2 import AuthenticateRequest


class Authenticator:
    """Adds the token to calls, where a user is set.

    etcd forgets tokens: when it restarts, when nobody used one for a while (each member counts by itself), and when
    its users change. The password file is read each time, so that a changed password is taken up.
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
        self._lock = asyncio.Lock()
        if password_file is not None:
            read_password(password_file)

    @property
    def enabled(self) -> bool:
        """Whether calls carry a token at all."""
        return bool(self._user)

    async def metadata(self, connection: Connection, timeout: float) -> Mapping[str, str]:
        """What to send along with a call. Raises Refused when etcd does not take the password, else NotSent."""
        if not self._user:
            return {}
        try:
            async with asyncio.timeout(timeout), self._lock:
                if self._token is None:
                    self._token = await self._authenticate(connection, timeout)
        except TimeoutError:
            raise NotSent(f"etcd at {connection} did not authenticate {self._user!r} in time") from None
        return {"token": self._token} if self._token else {}

    def forget(self, metadata: Mapping[str, str]) -> None:
        """Etcd refused this token: the next call fetches a new one, unless another has already done so."""
        if self._token == metadata.get("token", ""):
            self._token = None

    async def _authenticate(self, connection: Connection, timeout: float) -> str:
        assert self._file is not None  # __init__ has seen to it
        try:
            request = AuthenticateRequest(name=self._user, password=read_password(self._file))
            answer = await connection.call(AUTHENTICATE, request, {}, timeout)
        except BadSetting as error:
            raise NotSent(str(error)) from error
        except Refused as error:
            if error.message == "etcdserver: authentication is not enabled":
                return ""  # then nobody needs a token; when it is enabled later, calls are refused, and we come back
            raise Refused(f"{error.reason} (user {self._user!r}, password file {self._file})", error.code) from error
        except OutcomeUnknown as error:
            raise NotSent(f"not authenticated: {error.reason}") from error
        except EtcdError:
            raise
        return answer.token


def read_password(path: Path) -> str:
    """The password in a file, without the line end that editors add. Raises BadSetting."""
    try:
        password = path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise BadSetting(f"the etcd password file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadSetting(f"the etcd password file {path} is not text in UTF-8") from error
    if not password:
        raise BadSetting(f"the etcd password file {path} is empty: write the password into it")
    return password
