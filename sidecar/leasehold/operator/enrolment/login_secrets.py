"""The namespaces' Secrets where etcd's users have passwords: read and written. Passwords stay in here."""

from __future__ import annotations

import base64
import secrets as random_source
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from leasehold.base.pki import RENEW_AT
from leasehold.kube.call import Body, KubeCall
from leasehold.lock.kube_names import PREFIX
from leasehold.operator.enrolment.actions import SetPassword, WriteLogin
from leasehold.operator.enrolment.model import Login, Owner, SecretFact
from leasehold.operator.enrolment.names import account_of
from leasehold.operator.enrolment.password_plan import fingerprint
from leasehold.operator.enrolment.secrets import (
    ENROLLED_BY,
    KEEP,
    LABEL_CHANGED,
    MANAGED_BY,
    MANAGER,
    USER,
    Expected,
    Secrets,
    decoded,
    is_labelled,
    other_writer,
)

SINCE: Final = f"{PREFIX}password-since"
"""Annotation: when the first password was made, as RFC 3339."""
NEXT_SINCE: Final = f"{PREFIX}next-password-since"
"""Annotation: when the second one was added."""
ANNOUNCED_FOR: Final = timedelta(minutes=10)
"""How long a next password is in the Secret before etcd gets it: kubelets bring it to pods within two minutes."""
_RANDOM_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class _Held:
    """The passwords of a Secret, the first one first, and since when they are there."""

    passwords: tuple[str, ...] = ()
    since: str = ""
    next_since: str = ""


class LoginSecrets(Secrets):
    """Reads and writes them. All calls raise KubeFailure."""

    TYPE = "kubernetes.io/basic-auth"

    def __init__(self, kube: KubeCall, name: str, lifetime: timedelta) -> None:
        """A password is replaced at two thirds of `lifetime`."""
        super().__init__(kube, name)
        self._renew_after = lifetime * RENEW_AT
        self._held: dict[str, _Held] = {}

    def forget(self) -> None:
        """Another operator may write them from now on."""
        self._held.clear()

    def remembered(self, root: str) -> Mapping[str, str]:
        """By namespace, the fingerprint of the first password that is known."""
        first = {namespace: held.passwords[0] for namespace, held in self._held.items() if held.passwords}
        return {namespace: fingerprint(account_of(namespace, root), each) for namespace, each in first.items()}

    def choose(self, order: SetPassword, now: datetime) -> str:
        """The password that etcd is to have: a new one, or the one that is announced."""
        held = self._held.get(order.namespace, _Held())
        chosen = held.passwords[-1] if order.announced and held.passwords else _random()
        self._held[order.namespace] = _Held((chosen,), now.isoformat())
        return chosen

    async def write_login(self, order: WriteLogin, expected: Expected) -> SecretFact:
        """Create it, or replace the one that was read. Raises NamespaceGone, too."""
        held = self._held[order.namespace]
        if order.announce:
            held = replace(held, passwords=(held.passwords[0], _random()), next_since=expected.now.isoformat())
            self._held[order.namespace] = held
        content = {"username": order.user.encode(), "password": "\n".join(held.passwords).encode()}
        if expected.server_ca:
            content["ca.crt"] = expected.server_ca
        notes: dict[str, str | None] = {USER: order.user, ENROLLED_BY: expected.instance, KEEP: "keep"}
        notes |= {SINCE: held.since, NEXT_SINCE: held.next_since or None}
        if order.replaces is None:
            notes = {name: text for name, text in notes.items() if text is not None}
        metadata: Body = {"labels": {MANAGED_BY: MANAGER}, "annotations": notes}
        data = {name: base64.b64encode(value).decode() for name, value in content.items()}
        return self._fact(await self._put(order, metadata, data), expected, {})

    def _fact(self, body: Body, expected: Expected, before: Mapping[tuple[str, str], Any]) -> SecretFact:
        metadata, data = body["metadata"], decoded(body)
        namespace, notes = metadata["namespace"], metadata.get("annotations") or {}
        user = account_of(namespace, expected.root)
        text = data.get("password", b"").decode(errors="replace")
        found = _Held(tuple(filter(None, text.split("\n"))), notes.get(SINCE, ""), notes.get(NEXT_SINCE, ""))
        self._held.setdefault(namespace, found)  # what we know better is not forgotten because somebody edited it
        labelled = is_labelled(metadata)
        is_ours = labelled or data.get("username") == user.encode()
        owner, flaw = Owner.OURS if is_ours else Owner.FOREIGN, self._flaw(data, user, labelled, expected)
        if is_ours and (who := other_writer(metadata, expected)):
            owner, flaw = Owner.CONTESTED, who
        login = self._login(user, found, expected.now)
        mistyped = body.get("type") != self.TYPE
        return SecretFact(owner, metadata["uid"], metadata["resourceVersion"], flaw, mistyped, login)

    @staticmethod
    def _flaw(data: Mapping[str, bytes], user: str, labelled: bool, expected: Expected) -> str:
        if data.get("username") != user.encode():
            return f"its username is not {user!r}"
        if data.get("ca.crt", b"") != expected.server_ca:
            return "its ca.crt is not the authority of etcd's certificates"
        return "" if labelled else LABEL_CHANGED

    def _login(self, user: str, found: _Held, now: datetime) -> Login | None:
        if not found.passwords:
            return None
        first, *others = (fingerprint(user, each) for each in found.passwords)
        return Login(
            first=first,
            next=others[0] if others else "",
            due=_is_past(found.since, self._renew_after, now),
            announced=_is_past(found.next_since, ANNOUNCED_FOR, now),
        )


def _random() -> str:
    return random_source.token_urlsafe(_RANDOM_BYTES)


def _is_past(since: str, after: timedelta, now: datetime) -> bool:
    """Whether so much time has passed; also if nobody can read since when, or if it lies ahead."""
    try:
        begun = datetime.fromisoformat(since)
        return not begun <= now < begun + after
    except (ValueError, TypeError):  # TypeError: it has no time zone
        return True
