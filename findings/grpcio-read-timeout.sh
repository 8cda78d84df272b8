#!/bin/bash
# grpcio 1.85.3, grpc.aio, a watch of etcd v3.7.3 whose read() is given a time limit by asyncio.wait_for.
# Guess: as with asyncio's own streams and queues, a read that is given up takes nothing with it: the next read() gets
#   the next event.
# Behaviour: giving up a read cancels the whole call. The next read() raises CancelledError in a task that nobody has
#   cancelled, so the task ends as if it had been: no exception is logged, and awaiting it looks like one's own end.
source "$(dirname "$0")/etcd.bash"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check grpcio==1.85.3
cat >finding.py <<'PYTHON'
import asyncio, subprocess, sys

import grpc

print("grpcio", grpc.__version__)
WATCH_KEY = bytes((10, 5, 10, 3)) + b"key"  # WatchRequest(create_request=WatchCreateRequest(key=b"key"))
quiet = 0  # reads that were given up
events = []

async def observe(channel):
    """What an observer does that looks at its other duties each second."""
    global quiet
    call = channel.stream_stream("/etcdserverpb.Watch/Watch")()
    await call.write(WATCH_KEY)
    await call.read()  # the watch is created
    while True:
        try:
            events.append(await asyncio.wait_for(call.read(), 1))
        except TimeoutError:
            quiet += 1
            print("read() given up after a second; the call's code is now", await call.code())

async def main():
    async with grpc.aio.insecure_channel(sys.argv[1]) as channel:
        observer = asyncio.create_task(observe(channel))
        await asyncio.wait([observer], timeout=10)
        subprocess.run(["./etcdctl", "--endpoints", sys.argv[1], "put", "key", "value"], check=True)
        await asyncio.wait([observer], timeout=5)
        print(f"the observer: done {observer.done()}, cancelled {observer.cancelled()}, asked to cancel "
              f"{observer.cancelling()} times; events seen: {len(events)}")
        assert observer.cancelled() and not observer.cancelling() and quiet == 1 and not events

asyncio.run(main())
PYTHON
venv/bin/python finding.py "$client"
echo "as found: one quiet second ended the watch, and the task with it"
