"""Keys and names in etcd: what other programs rely on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.lock.keys import Keys, prefix_end
from leasehold.lock.names import LockName
from tests.support.json_values import quick

LOCK = LockName("shop", "billing")


# --- names -----------------------------------------------------------------------------------------------------------


def test_the_keys_have_the_documented_layout() -> None:
    """Operators, other clients and `etcdctl elect` build these very strings."""
    keys = Keys(LOCK, "/root")
    assert keys.prefix == "/root/locks/shop/billing/queue"
    assert keys.queue == "/root/locks/shop/billing/queue/"
    assert keys.spec == "/root/locks/shop/billing/spec"
    assert keys.entry(0x326963A0F7B9E03C) == "/root/locks/shop/billing/queue/326963a0f7b9e03c"


def test_the_root_is_leasehold_unless_set() -> None:
    assert Keys(LOCK).spec == "/leasehold/locks/shop/billing/spec"


def test_the_spec_is_no_candidate() -> None:
    """A read of the whole queue must not find the spec in it."""
    keys = Keys(LOCK)
    assert not keys.queue.encode() <= keys.spec.encode() < prefix_end(keys.queue)


@quick
@given(st.text(), st.text())
def test_a_prefix_range_holds_only_its_keys(prefix: str, other: str) -> None:
    """A range over a prefix holds just the keys under it."""
    prefix = prefix.encode(errors="replace").decode() + "/"
    key = other.encode(errors="replace")
    assert (prefix.encode() <= key < prefix_end(prefix)) == key.startswith(prefix.encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("billing", LockName("default", "billing")),
        ("shop/billing", LockName("shop", "billing")),
        ("a/b.c-d.0", LockName("a", "b.c-d.0")),
    ],
)
def test_a_lock_name_may_omit_its_namespace(text: str, expected: LockName) -> None:
    """A lock is named with or without its namespace."""
    assert LockName.parse(text, "default") == expected
    assert LockName.parse(str(expected), "elsewhere") == expected


@pytest.mark.parametrize(
    "text",
    ["", "/", "shop/", "/billing", "a/b/c", "Billing", "-a", "a-", "a..b", ".a", "a.", "a_b", "sh.op/a", "a\n", "ä"],
)
def test_an_invalid_name_is_refused_in_a_sentence(text: str) -> None:
    """A name that kubernetes would refuse is refused in a sentence."""
    with pytest.raises(ValueError, match="is not valid: use at most"):
        LockName.parse(text, "default")


def test_names_are_as_long_as_kubernetes_lets_them_be() -> None:
    LockName("n" * 63, "l" * 253)
    for namespace, name in (("n" * 64, "l"), ("n", "l" * 254)):
        with pytest.raises(ValueError, match="use at most"):
            LockName(namespace, name)


@quick
@given(st.text(max_size=20), st.text(max_size=20))
def test_no_valid_name_leaves_its_prefix(namespace: str, name: str) -> None:
    """No name that passes can leave its place in the tree."""
    try:
        lock = LockName(namespace, name)
    except ValueError:
        return
    assert Keys(lock).spec.count("/") == 5
    assert LockName.parse(str(lock), "other") == lock
