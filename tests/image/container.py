"""A real container of the image, as a cluster would run it: runc, read-only root, no capabilities, its own PID 1.

It shares the network of the test run, so that it reaches the servers on loopback and they reach it.
"""

import contextlib
import json
import os
import shutil
import signal
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.image.build import Image
from tests.image.tools import bundles, runc, working_name
from tests.servers import Process
from tests.servers.programs import MissingProgram, run

_NAMESPACES = ("pid", "mount", "ipc", "uts")
_MOUNTS: tuple[dict[str, Any], ...] = (
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev"]},
)


class Container:
    """One container, not started by the constructor; its entry point gets `arguments`.

    `volumes` are host directories by the place where the container sees them; they may be written to.
    """

    def __init__(
        self,
        image: Image,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        volumes: Mapping[str, Path] | None = None,
    ) -> None:
        self.name = working_name()
        self._image = image
        self._arguments = list(arguments)
        self._env = dict(env or {})
        self._volumes = dict(volumes or {})
        self._stack = contextlib.ExitStack()
        self._bundle = bundles() / self.name
        self._runc = runc(self._bundle)
        self.process = Process([*self._runc, "run", "--bundle", self._bundle, self.name], name=self.name)
        """runc, which waits for the container, passes on its exit code and writes its output to the log."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start it, once."""
        root = self._stack.enter_context(self._image.mounted())
        self._bundle.mkdir()
        (self._bundle / "config.json").write_text(json.dumps(self._spec(root)))
        self.process.start()

    @property
    def pid(self) -> int:
        """The process id, on the machine, of its PID 1; 0 while it has none yet."""
        try:
            state = json.loads(run([*self._runc, "state", self.name]))
        except MissingProgram:  # not created yet
            return 0
        return int(state["pid"]) if state["status"] == "running" else 0

    def pids(self) -> list[int]:
        """The process ids, on the machine, of all that runs in it, zombies too."""
        own = os.readlink(f"/proc/{self.pid}/ns/pid")
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):  # it ended meanwhile
                if entry.name.isdigit() and os.readlink(entry / "ns" / "pid") == own:
                    found.append(int(entry.name))
        return found

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its PID 1, as the kubelet does to stop it."""
        run([*self._runc, "kill", self.name, str(int(number))])

    def wait(self, timeout: float = 30) -> int:
        """Wait at most `timeout` seconds for its end; returns its exit code."""
        return self.process.wait(timeout)

    def close(self) -> None:
        """End it if it runs, at once, and remove all that it has on the machine."""
        try:
            run([*self._runc, "delete", "--force", self.name])
        finally:
            self.process.close()
            self._stack.close()
            shutil.rmtree(self._bundle, ignore_errors=True)

    def _spec(self, root: Path) -> dict[str, Any]:
        config = self._image.config()
        user, group = map(int, config["User"].split(":"))
        env = [*config["Env"], *(f"{name}={value}" for name, value in self._env.items())]
        binds = [_bind(place, source) for place, source in self._volumes.items()]
        return {
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": user, "gid": group},
                "args": [*config["Entrypoint"], *self._arguments],
                "env": env,
                "cwd": config["WorkingDir"],
                "capabilities": {},
                "noNewPrivileges": True,
            },
            "root": {"path": str(root), "readonly": True},
            "hostname": "leasehold",
            "mounts": [*_MOUNTS, *binds],
            "linux": {"namespaces": [{"type": name} for name in _NAMESPACES]},
        }


def _bind(place: str, source: Path) -> dict[str, Any]:
    return {"destination": place, "type": "bind", "source": str(source), "options": ["rbind", "rw"]}


def answers(port: int, path: str) -> int:
    """The status of a GET; 0 when nothing answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0
