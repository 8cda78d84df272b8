"""Requests through kubectl's proxy: one link for as long as the plugin runs.

It also does what kubectl does around its requests: it waits for a login, shows the API server's warnings, and knows the
namespace that kubectl would use.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from leasehold.base.terminal import one_line
from leasehold.kubectl import unix_http
from leasehold.kubectl.cluster_ref import ClusterRef, Login
from leasehold.kubectl.connection import value_of
from leasehold.kubectl.context import Context, context_of, read_pod
from leasehold.kubectl.errors import ClusterError, UnreachableError
from leasehold.kubectl.kubectl_program import ConfigView, find_kubectl
from leasehold.kubectl.kubectl_proxy import KubectlProxy
from leasehold.kubectl.unix_http import NETWORK_ERRORS, Answer

_LOGIN_NOTICE_SECONDS: Final = 15.0
_WARNING: Final = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')
_FAILED_LOGIN: Final = "getting credentials: "
_UNTRUSTED: Final = re.compile(r".*failed to verify certificate: ")


class Link:
    """A running kubectl that passes requests on. Every method raises ClusterErrors, with sentences for the user."""

    def __init__(self, ref: ClusterRef, login: Login) -> None:
        """Start kubectl; with a patient login, wait for it."""
        program = find_kubectl(os.environ)
        self._start = partial(KubectlProxy, program, ref.flags, login)
        self._lock = threading.Lock()
        with contextlib.closing(ConfigView(program, _of_config(ref.flags))) as view:
            self._proxy = self._start()
            try:
                context = context_of(view.read(), ref.flags, read_pod(os.environ))
                self.namespace = ref.namespace or context.namespace
                self.server = f"The API server at {one_line(context.server)}"
                self.warnings: list[str] = []
                if login is Login.PATIENT and context.login and not value_of(ref.flags, "request-timeout"):
                    self._log_in(context)
            except BaseException:
                self._proxy.close()
                raise

    def _log_in(self, context: Context) -> None:
        """Wait for the first answer without a deadline: somebody may have to log in, in a browser perhaps."""
        sentence = (
            f"leasehold: Waiting for {one_line(context.login)} to log in, and for {context.server}; end it by Ctrl-C.\n"
        )
        notice = threading.Timer(_LOGIN_NOTICE_SECONDS, lambda: sys.stderr.write(sentence))
        notice.start()
        try:
            self.send("GET", "/version", (), None, None).close()
        finally:
            notice.cancel()

    def send(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        body: Mapping[str, Any] | None,
        seconds: float | None,
    ) -> Answer:
        """Ask the API server; the body of the answer has not been read yet. Raises UnreachableError."""
        with self.translated():
            answer = unix_http.request(self._socket(), method, path, query=query, body=body, seconds=seconds)
            if _is_kubectls(answer):
                with contextlib.closing(answer):
                    raise self._failure(answer.read().decode(errors="replace"))
        self._warn(answer)
        return answer

    def _socket(self) -> str:
        """Where kubectl serves. If it was killed, another one takes its place."""
        with self._lock:
            if self._proxy.has_ended:
                self._proxy.close()
                self._proxy = self._start()
            return self._proxy.socket

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Turns errors of the connection to kubectl into UnreachableError."""
        try:
            yield
        except TimeoutError:
            raise UnreachableError(f"{self.server} did not answer in time.") from None
        except NETWORK_ERRORS as error:
            cause = "kubectl has ended" if self._proxy.has_ended else one_line(str(error) or type(error).__name__)
            raise UnreachableError(f"{self.server} cannot be reached: {cause}.") from error

    def _failure(self, said: str) -> ClusterError:
        """Why kubectl got no answer."""
        why = one_line(said)[:800].rstrip(".")
        if why.startswith(_FAILED_LOGIN):
            asked = f"the{self.server.removeprefix('The')}"
            return ClusterError(f"kubectl got no credentials for {asked}: {why.removeprefix(_FAILED_LOGIN)}.")
        if _UNTRUSTED.match(why):
            return UnreachableError(
                f"{self.server} cannot be reached: its certificate is not trusted ({_UNTRUSTED.sub('', why)})."
            )
        return UnreachableError(f"{self.server} cannot be reached: {why or 'kubectl gives no reason'}.")

    def _warn(self, answer: Answer) -> None:
        """Show the API server's warnings, as kubectl does: each one once."""
        for name, value in answer.headers:
            for match in _WARNING.finditer(value) if name.lower() == "warning" else ():
                text = one_line(re.sub(r"\\(.)", r"\1", match[1]))
                if text not in self.warnings:
                    self.warnings.append(text)
                    sys.stderr.write(f"Warning: {text}\n")

    def close(self) -> None:
        """End kubectl."""
        self._proxy.close()


def _of_config(flags: Sequence[str]) -> list[str]:
    """The flags that say which files are the kubeconfig; `kubectl config view` knows no more of the others."""
    return [flag for flag in flags if flag.partition("=")[0] in ("--kubeconfig", "--kuberc")]


def _is_kubectls(answer: Answer) -> bool:
    """Whether kubectl made the answer itself, since it got none: as plain text, without the API server's headers."""
    return (
        answer.status == 500
        and answer.header("content-type").startswith("text/plain")
        and not answer.header("audit-id")
        and bool(answer.header("x-content-type-options"))
    )
