"""Faults of the sidecars' own processes."""

from __future__ import annotations

from typing import ClassVar

from tests.nemesis.cluster_world import Candidate
from tests.nemesis.faults.base import Fault


class _OnOne(Fault):
    """A fault of one sidecar."""

    _hit: Candidate | None = None

    def inject(self) -> None:
        self._hit = self.victim()
        self._harm(self._hit)

    def heal(self) -> None:
        if self._hit is not None:
            self._mend(self._hit)

    def _harm(self, one: Candidate) -> None:
        raise NotImplementedError

    def _mend(self, one: Candidate) -> None:
        self.world.start(one)


class KillSidecar(_OnOne):
    """-9, and started anew only later."""

    name: ClassVar = "kill-sidecar"

    def _harm(self, one: Candidate) -> None:
        self.world.kill(one)


class StopSidecar(_OnOne):
    """TERM, and started anew later."""

    name: ClassVar = "stop-sidecar"

    def _harm(self, one: Candidate) -> None:
        self.world.stop(one)


class CrashSidecar(_OnOne):
    """-9, and started anew at once: with a state directory it takes its term up again."""

    name: ClassVar = "crash-sidecar"

    def _harm(self, one: Candidate) -> None:
        self.world.kill(one)
        self.world.start(one)

    def _mend(self, one: Candidate) -> None:
        """It runs already."""


class FreezeSidecar(_OnOne):
    """Stopped in the middle of whatever it does, then let go on as if nothing had been."""

    name: ClassVar = "freeze-sidecar"

    def _harm(self, one: Candidate) -> None:
        one.pause()

    def _mend(self, one: Candidate) -> None:
        one.resume()


class PauseLogReader(_OnOne):
    """Whoever reads its log stops reading, and the pipe between them is full."""

    name: ClassVar = "pause-log-reader"

    def _harm(self, one: Candidate) -> None:
        one.log_reader.pause()

    def _mend(self, one: Candidate) -> None:
        one.log_reader.resume()


SIDECAR_FAULTS: tuple[type[Fault], ...] = (KillSidecar, StopSidecar, CrashSidecar, FreezeSidecar, PauseLogReader)
