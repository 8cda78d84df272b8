#!/bin/bash
# grpcio 1.85.3 (Python), several channels of one process to one address.
# Guess: a channel has a connection of its own, so a probe, or a lease's keep-alives, on a second channel do not depend
#   on what happens to the first.
# Behaviour: channels of equal arguments share one connection, whatever is closed or opened; one that is cut or full is
#   so for all. grpc.aio shares among its own channels. An argument that differs, or grpc.use_local_subchannel_pool,
#   gives a connection of its own.
source "$(dirname "$0")/python.bash" grpcio==1.85.3
cat >finding.py <<'PYTHON'
import asyncio
from concurrent.futures import ThreadPoolExecutor

import grpc

def whose(request, context):
    """The client's end of the connection by which the call came."""
    return context.peer().encode()

print("grpcio", grpc.__version__)
server = grpc.server(ThreadPoolExecutor(4))
handlers = {"peer": grpc.unary_unary_rpc_method_handler(whose)}
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test", handlers)])
address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
server.start()

def ask(channel):
    return channel.unary_unary("/test/peer")(b"", timeout=30)

def report(words, peers, wanted):
    print(f"{words}: channels {len(peers)}, connections {len(set(peers))}")
    assert len(set(peers)) == wanted

channels = [grpc.insecure_channel(address) for _ in range(3)]
report("equal arguments", [ask(channel) for channel in channels], 1)
channels[0].close()
channels[0] = grpc.insecure_channel(address)
report("the first closed and opened again", [ask(channel) for channel in channels], 1)

async def with_asyncio():
    channels = [grpc.aio.insecure_channel(address) for _ in range(3)]
    report("grpc.aio", [await ask(channel) for channel in channels], 1)
    for channel in channels:
        await channel.close()

asyncio.run(with_asyncio())
apart = [grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) for _ in range(3)]
report("each with a pool of its own", [ask(channel) for channel in apart], 3)
server.stop(None).wait()
PYTHON
timeout 120 venv/bin/python finding.py
echo "as found: three channels, one connection"
