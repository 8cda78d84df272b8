"""Whom a certificate of etcd is for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subject:
    """A common name. A member of etcd has DNS names, and is the client of its peers, too; clients have none."""

    name: str
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Leaf:
    """A Secret with a certificate, and whom that is for."""

    namespace: str
    secret: str
    subject: Subject

    @property
    def place(self) -> str:
        """Its name, for people."""
        return f"{self.namespace}/{self.secret}"
