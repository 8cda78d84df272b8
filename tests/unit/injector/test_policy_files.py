"""The chart's admission policies are made from the injector's code: here it is seen when one of the two is older."""

from pathlib import Path

import pytest

from leasehold.injector import annotations
from tests.charts.injection import pods
from tests.charts.injection.document import DOCUMENTS


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_policies_are_the_injectors(file: Path) -> None:
    assert file.read_text() == DOCUMENTS[file](), "python -m tests.charts writes it"


def test_every_annotation_is_tried() -> None:
    """An annotation that the injector learns is one that the policy has to learn."""
    assert pods.VALUES.keys() == set(annotations._KNOWN), "tell tests/charts/injection/pods.py which texts to try"
