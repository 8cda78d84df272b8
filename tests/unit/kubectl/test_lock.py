"""A Lock is read without trust in any of it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from leasehold.kubectl.describe import Description, as_object, as_text
from leasehold.kubectl.lock import LockView, who_holds
from leasehold.kubectl.printing import locks_table
from leasehold.kubectl.waiting import free, held
from tests.unit.kubectl.locks import A, B, view
from tests.unit.kubectl.test_printing import NOW


def test_holders_are_in_the_order_of_their_tokens() -> None:
    assert [holder.token for holder in view(B, A).holders] == [217, 230]


def test_who_holds() -> None:
    assert who_holds(view(A, B)) == "is held by a (token 217), b (token 230)"
    assert who_holds(view()) == "is held by nobody"
    assert who_holds(view(suspend=True)) == "is suspended, and nobody holds it"
    assert who_holds(view(A, held="Unknown")) == "has an unknown holder: etcd is away"
    assert who_holds(LockView({})) == "has an unknown holder: the operator has not reported any"
    many = [{"identity": str(n), "fencingToken": n} for n in range(8)]
    assert who_holds(view(*many)).endswith("4 (token 4) and 3 more")


METADATA = ("name", "namespace", "generation", "creationTimestamp", "deletionTimestamp", "managedFields")
STATUS = ("conditions", "holders", "holderIdentity", "acquireTime", "holderCount", "observedGeneration", "key")
ITEMS = ("identity", "fencingToken", "type", "status", "reason", "message", "lastTransitionTime", "capacity")
EVENTS = ("preferredHolder", "count", "series", "lastObservedTime", "eventTime")
NAMES = st.sampled_from((*METADATA, *STATUS, *ITEMS, *EVENTS))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(("metadata", "spec", "status")), JSON, max_size=3), st.lists(JSON, max_size=2))
def test_no_body_breaks_it(body: dict[str, Any], events: list[Any]) -> None:
    odd = LockView(body)
    told = [event for event in events if isinstance(event, dict)]
    assert held(odd) in (True, False)
    assert free(odd) in (True, False)
    for printed in (
        as_text(Description(odd, told), NOW),
        locks_table([odd], NOW, wide=True, namespaces=True),
        who_holds(odd),
    ):
        assert all(character.isprintable() or character in "\n�" for character in printed)
    assert as_object(Description(odd, told))["lock"]
