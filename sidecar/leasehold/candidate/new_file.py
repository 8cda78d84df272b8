"""A new file in a directory that others may write to, and a file replaced by a new one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO


def fresh(path: Path, mode: int) -> BinaryIO:
    """Open a new, empty file with exactly these permissions for writing, and remove a file of its name. Raises OSError.

    The app may share the directory as another user. If it left a link under this name, we would write to a file of ours
    and change its permissions. So an existing file is never opened.
    """
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    file = open(descriptor, "wb")  # noqa: SIM115  # the caller closes it
    try:
        os.fchmod(descriptor, mode)  # whatever the umask says
    except OSError:
        file.close()
        raise
    return file


def replace(path: Path, content: Iterable[bytes], mode: int, older: Path | None = None) -> None:
    """Replace the file by one of these pieces: a reader sees the old one or the new one. Raises OSError.

    What was there is kept as `older`, if that is given. Nothing is flushed to the platter. There must be one writer at
    a time, since there is one temporary name.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with fresh(temporary, mode) as file:
            file.writelines(content)
        if older is not None:
            with contextlib.suppress(FileNotFoundError):
                os.replace(path, older)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
