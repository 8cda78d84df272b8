"""Keys of etcd, deleted through the client under test: production code deletes only in transactions of its own."""

from leasehold.etcd.client import EtcdClient
from leasehold.etcd.model import Delete, DeleteAnswer, Key


async def delete(client: EtcdClient, key: Key, *, end: Key | None = None, timeout: float | None = None) -> DeleteAnswer:
    """Delete a key, or the keys from it up to `end`, in one transaction. Raises EtcdError."""
    (answer,) = (await client.txn([], [Delete(key, end)], timeout=timeout)).answers
    assert isinstance(answer, DeleteAnswer)
    return answer
