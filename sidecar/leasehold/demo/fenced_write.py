"""A write that etcd takes only from the present leader: the fence that works even against a leader that was frozen.

The transaction compares the create revision of the leader's key with its fencing token: both stand in `/leader`.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import aiohttp

REPORT_KEY: Final = "/demo/report"


async def fenced_write(session: aiohttp.ClientSession, etcd: str, key: str, token: int, text: str) -> bool:
    """Write a report as the leader with this key and token. Returns whether etcd has taken it."""
    body: dict[str, Any] = {
        "compare": [{"key": _encoded(key), "target": "CREATE", "result": "EQUAL", "createRevision": str(token)}],
        "success": [{"requestPut": {"key": _encoded(REPORT_KEY), "value": _encoded(text)}}],
    }
    async with session.post(f"{etcd}/v3/kv/txn", json=body) as answer:
        return bool((await answer.json(content_type=None)).get("succeeded", False))


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
