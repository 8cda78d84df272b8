"""The kubectl that the plugin uses: where it is, and short questions to it that no cluster answers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, Final

from leasehold.base.terminal import one_line
from leasehold.kubectl.errors import ClusterError, MistakeError

VARIABLE: Final = "KUBECTL"
_SECONDS: Final = 60.0
"""For an answer from files: only a disk that hangs takes as long."""
_COMPLETION_SECONDS: Final = 5.0


def find_kubectl(environ: Mapping[str, str]) -> str:
    """The program's path: KUBECTL, else `kubectl` on the PATH. Raises MistakeError if it is not there."""
    given = environ.get(VARIABLE, "")
    found = shutil.which(given or "kubectl", path=environ.get("PATH", os.defpath))
    if found:
        return found
    if given:
        raise MistakeError(f"{VARIABLE} is {given[:200]!r}: there is no such program; give the path of kubectl.")
    raise MistakeError(
        "kubectl is not on the PATH, and the plugin asks the cluster through it: install it, or set "
        f"{VARIABLE} to its path."
    )


class ConfigView:
    """The kubeconfig as kubectl merges and reads it, without its secrets. Asked for at once, read later."""

    def __init__(self, program: str, flags: Sequence[str]) -> None:
        words = [program, "config", "view", "--output=json", *flags]
        null, pipe = subprocess.DEVNULL, subprocess.PIPE
        self._process = subprocess.Popen(words, stdin=null, stdout=pipe, stderr=pipe, text=True)

    def read(self) -> Mapping[str, Any]:
        """The merged kubeconfig. Raises ClusterError with kubectl's reason if it cannot be read."""
        try:
            printed, said = self._process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            raise ClusterError("kubectl does not say what the kubeconfig is.") from None
        try:
            read = json.loads(printed)
        except ValueError:
            raise ClusterError(f"kubectl cannot read the kubeconfig: {reason(said)}.") from None
        return read if isinstance(read, dict) else {}

    def close(self) -> None:
        """End kubectl, if it has not ended."""
        self._process.kill()
        self._process.communicate()


def reason(said: str) -> str:
    """kubectl's error as a part of a sentence, without its own beginning and its hint to `--help`."""
    lines = [line for line in said.splitlines() if not line.startswith("See 'kubectl ")]
    text = one_line(" ".join(lines))[:500].rstrip(".")
    for beginning in ("error: ", "Error: ", "Error in configuration: "):
        text = text.removeprefix(beginning)
    return text or "it gives no reason"


def complete(program: str, flags: Sequence[str], name: str) -> list[str]:
    """What kubectl offers as the value of its own flag, such as `--context`; nothing if it cannot."""
    words = [program, "__complete", "get", *flags, name, ""]
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_COMPLETION_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.partition("\t")[0] for line in done.stdout.splitlines() if not line.startswith(":")]
