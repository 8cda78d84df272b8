"""A real etcd of several members, which elect a leader of their own."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.servers.certs import CertificateAuthority
from tests.servers.etcd import EtcdServer, Version
from tests.servers.etcdctl import Etcdctl, EtcdctlFailed
from tests.servers.process import PATIENCE, wait_for

MOVE_TIMEOUT = 10.0  # seconds for one attempt to move etcd's leadership


class EtcdCluster:
    """Several members of one cluster; arguments as those of EtcdServer."""

    def __init__(
        self,
        size: int = 3,
        version: Version = "3.7",
        *,
        authority: CertificateAuthority | None = None,
        mutual: bool = False,
        flags: Sequence[str] = (),
        directories: Sequence[Path] = (),
    ) -> None:
        places = [*directories, *[None] * (size - len(directories))]
        self.members = [
            EtcdServer(version, name=f"etcd{n}", authority=authority, mutual=mutual, flags=flags, directory=place)
            for n, place in enumerate(places, start=1)
        ]
        for member in self.members:
            member.initial_cluster = ",".join(f"{each.name}={each.peer_url}" for each in self.members)
        self.ctl = Etcdctl([member.url for member in self.members], self.members[0].ctl.certificate)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def urls(self) -> list[str]:
        """The client URLs of all members."""
        return [member.url for member in self.members]

    @property
    def endpoints(self) -> str:
        """What `--etcd` takes: all members."""
        return ",".join(self.urls)

    def start(self) -> None:
        """Start those that don't run, and wait until all are healthy and one leads."""
        for member in self.members:
            if not member.process.running:
                member.start(wait=False)
        for member in self.members:
            member.wait_healthy()
        self.leader()

    def close(self) -> None:
        """End all members and remove their data."""
        for member in self.members:
            member.close()

    def leader(self, timeout: float = PATIENCE) -> EtcdServer:
        """The one member that leads among those that run and are not frozen, waiting for an election to
        end.
        """
        leaders: list[EtcdServer] = []

        def elected() -> bool:
            leaders[:] = [member for member in self.members if member.is_leader()]
            return len(leaders) == 1

        wait_for(elected, "the etcd cluster to have one leader", timeout)
        return leaders[0]

    def followers(self) -> list[EtcdServer]:
        """All members but the leader."""
        leader = self.leader()
        return [member for member in self.members if member is not leader]

    def move_leader(self, to: EtcdServer | None = None) -> EtcdServer:
        """Hand etcd's own leadership to a follower, and wait until it leads; returns it."""
        target = to or self.followers()[0]
        ids = {member["name"]: int(member["ID"]) for member in self.ctl.json("member", "list")["members"]}

        def moved() -> bool:
            with contextlib.suppress(EtcdctlFailed):  # on a busy machine the members may elect another themselves
                if not target.is_leader():
                    # An etcd whose disk has just hung may never answer this: then it is asked again.
                    self.ctl.run("move-leader", f"{ids[target.name]:x}", timeout=MOVE_TIMEOUT)
            return target.is_leader()

        wait_for(moved, f"{target.name} to lead")
        return target
