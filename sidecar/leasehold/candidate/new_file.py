"""A new file in a directory that others may write to."""

from __future__ import annotations

import os
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
