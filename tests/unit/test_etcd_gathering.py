"""What a request is written as: one piece, at once, and in order."""

import asyncio
from typing import Any

from leasehold.etcd.gathering import GatheringTransport


class Recording(asyncio.Transport):
    """A transport that keeps what it was told to do."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.told.append(bytes(data))

    def close(self) -> None:
        self.told.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.told

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 2379)}.get(name, default)


async def test_what_one_turn_writes_goes_out_in_one_piece_when_it_is_flushed() -> None:
    inner = Recording()
    transport = GatheringTransport(inner)
    transport.write(b"headers")
    transport.write(memoryview(b" and message"))
    assert inner.told == []
    transport.flush()
    assert inner.told == [b"headers and message"]
    await asyncio.sleep(0)
    assert inner.told == [b"headers and message"]


async def test_what_nobody_flushes_goes_out_in_the_next_turn() -> None:
    inner = Recording()
    transport = GatheringTransport(inner)
    for turn in (b"first", b"second"):
        transport.write(turn)
        await asyncio.sleep(0)
    assert inner.told == [b"first", b"second"]


async def test_nothing_is_lost_by_closing() -> None:
    inner = Recording()
    transport = GatheringTransport(inner)
    transport.write(b"last")
    transport.close()
    assert inner.told == [b"last", "closed"]
    assert transport.is_closing()


async def test_it_says_what_it_is_connected_to() -> None:
    transport = GatheringTransport(Recording())
    assert transport.get_extra_info("peername") == ("127.0.0.1", 2379)
    assert transport.get_extra_info("socket") is None
