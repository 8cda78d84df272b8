"""Any JSON value, for tests of what is read from etcd."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

quick = settings(deadline=None)
"""A busy machine must not fail a test."""
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
