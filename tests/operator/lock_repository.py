"""A Lock whose manifest lies in a repository, and what people ask of it by hand."""

import itertools
from pathlib import Path
from typing import Any

from tests.operator.appliers import Apply, Target, manifest
from tests.operator.kubectl_plugin import Plugin
from tests.operator.operator_scene import AN_HOUR, Scene
from tests.servers import wait_for
from tests.support.sidecars import PATIENCE, Sidecar


class Repository:
    """A Lock that one applier keeps as its manifest says, two sidecars that want it, and a user with the plugin."""

    def __init__(self, scene: Scene, apply: Apply, directory: Path) -> None:
        self.scene = scene
        self.plugin = Plugin(scene.api, scene.namespace)
        self._apply = apply
        self._target = Target(scene.api, scene.namespace, self.plugin.config(), directory)
        self._numbers = itertools.count()
        self.sync()
        self.scene.wait_ready()
        self.sidecars = [scene.sidecar(name) for name in "ab"]

    def sync(self, **spec: Any) -> None:
        """A new version of the manifest is applied, and then once more without a change."""
        version = manifest(next(self._numbers), leaseDurationSeconds=AN_HOUR, **spec)
        for _ in range(2):
            self._apply(self._target, version)

    def leader(self) -> Sidecar:
        """Who leads, once the operator has seen it."""
        found: list[Sidecar] = []

        def is_one() -> bool:
            found[:] = [one for one in self.sidecars if one.is_leading()]
            return len(found) == 1

        wait_for(is_one, "a leader", PATIENCE)
        self.scene.wait_held(found[0].name)
        return found[0]
