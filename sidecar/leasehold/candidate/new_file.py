"""A new file in a directory that others may write to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO


def fresh(path: Path, mode: int) -> BinaryIO:
    """Open a new, empty file of just these permissions for writing, in place of what has its name. Raises OSError.

    The app beside us may share the directory, as another user. A link that it left under this name would have us write
    to, and open up, whatever file of ours it names. So no file that was there is ever opened.
    """
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    file = open(descriptor, "wb")  # noqa: SIM115  # the caller's to close
    try:
        os.fchmod(descriptor, mode)  # whatever the umask says
    except OSError:
        file.close()
        raise
    return file
