"""Whoever changes by hand what a manifest names is told who will set it back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from leasehold.kubectl.appliers import FIELD_MANAGER, warning, without_claims
from leasehold.kubectl.change import give_up
from leasehold.kubectl.errors import ClusterError, ConflictError
from leasehold.kubectl.lock import LockView
from leasehold.lock.names import LockName

FLUX = {"manager": "kustomize-controller", "operation": "Apply", "fieldsV1": {"f:spec": {"f:suspend": {}}}}
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def seen(*managers: Any, applied: str | None = None) -> LockView:
    annotations = {} if applied is None else {LAST_APPLIED: applied}
    metadata = {"namespace": "team", "name": "db", "managedFields": list(managers), "annotations": annotations}
    return LockView({"metadata": metadata})


def test_an_applier_is_named() -> None:
    assert warning(seen(FLUX), ["suspend"]) == (
        "spec.suspend of the Lock team/db is also in the manifest that kustomize-controller applies, which sets it "
        "back when it is applied again: change the manifest, too."
    )
    by_hand = json.dumps({"spec": {"suspend": False}})
    assert "in the manifest that kubectl apply applies" in warning(seen(applied=by_hand), ["suspend"])


@pytest.mark.parametrize(
    "view",
    [
        seen(),
        seen({**FLUX, "operation": "Update"}),
        seen({**FLUX, "manager": FIELD_MANAGER}),
        seen({**FLUX, "fieldsV1": {"f:spec": {"f:capacity": {}}}}),
        seen(3, {"fieldsV1": 4}, {**FLUX, "fieldsV1": None}),
        *(
            seen(applied=text)
            for text in ("", "{", "3", "[]", "[" * 10_000, '{"spec": 3}', '{"spec": {"capacity": 1}}')
        ),
    ],
)
def test_nobody_else_sets_it_back(view: LockView) -> None:
    """One who has set it once does not; and what cannot be read says nothing."""
    assert warning(view, ["suspend"]) == ""
    assert warning(seen(FLUX), []) == ""


def test_the_manager_does_not_begin_with_kubectl() -> None:
    """Flux takes over such fields."""
    assert not FIELD_MANAGER.startswith("kubectl")


def claim(*fields: str, manager: str = FIELD_MANAGER) -> dict[str, Any]:
    spec: dict[str, Any] = {f"f:{name}": {} for name in fields}
    return {"manager": manager, "operation": "Update", "fieldsV1": {"f:spec": spec}}


def test_what_is_asked_no_more_is_given_up() -> None:
    """So that a manifest may name it without a conflict. Others' fields, and what is still asked, stay claimed."""
    both, other = claim("suspend", "handoverUpToToken"), claim("suspend", manager="kubectl-edit")
    view = LockView({"metadata": {"managedFields": [both, other]}, "spec": {"suspend": False, "handoverUpToToken": 7}})
    assert without_claims(view, ["suspend"]) == [claim("handoverUpToToken"), other]
    assert without_claims(view, ["handoverUpToToken", "capacity"]) is None
    alone = LockView({"metadata": {"managedFields": [claim("suspend")]}, "spec": {"suspend": False}})
    assert without_claims(alone, ["suspend"]) is None
    still = LockView({"metadata": {"managedFields": [claim("suspend")]}, "spec": {"suspend": True}})
    assert without_claims(still, ["suspend"]) is None


class Busy:
    """A cluster in which the operator writes the Lock meanwhile: what it answers to each try."""

    def __init__(self, *answers: ClusterError | None) -> None:
        self.answers = list(answers)
        self.managed: list[Sequence[Mapping[str, Any]]] = []
        metadata = {"namespace": "team", "name": "db", "managedFields": [claim("suspend"), FLUX]}
        self.now = LockView({"metadata": metadata, "spec": {"suspend": False}})

    def get(self, lock: LockName) -> LockView:
        return self.now

    def manage(self, seen: LockView, managers: Sequence[Mapping[str, Any]]) -> None:
        self.managed.append(managers)
        if (error := self.answers.pop(0)) is not None:
            raise error


@pytest.mark.parametrize(
    ("answers", "tries"),
    [([None], 1), ([ConflictError("")] * 2 + [None], 3), ([ClusterError("")], 1), ([ConflictError("")] * 5, 5)],
)
def test_giving_up_is_tried_until_it_is_done(answers: list[ClusterError | None], tries: int) -> None:
    """And never a reason to fail."""
    cluster, pauses = Busy(*answers), list[float]()
    give_up(cluster, cluster.now, ["suspend"], pauses.append)
    assert cluster.managed == [[FLUX]] * tries
    assert len(pauses) == tries
    give_up(cluster, cluster.now, ["capacity"], pauses.append)
    assert len(pauses) == tries, "nothing to give up, nothing to wait for"
