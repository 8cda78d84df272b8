"""What `--service-account` of the page needs, and how it says so."""

from pathlib import Path

import pytest

from leasehold.ui.lock_reader import LockReader

IN_A_POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def test_outside_a_pod(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="elsewhere leave it out"):
        LockReader.load(tmp_path, {})


def test_a_folder_without_an_authority(tmp_path: Path) -> None:
    """Missing, or no certificate."""
    for content in (None, "nothing"):
        if content is not None:
            (tmp_path / "ca.crt").write_text(content)
        with pytest.raises(ValueError, match=r"it has no ca\.crt that can be read \(.+\); name the folder with token"):
            LockReader.load(tmp_path, IN_A_POD)
