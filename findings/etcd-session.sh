#!/bin/bash
# etcd's Go client v3.7.3: the Session under its Election and Mutex, here that of etcdctl lock, while answers are late
# and then the link is lost.
# Guess: the client counts the TTL from its request, so "session expired" comes before the lease can be over at etcd and
#   the next candidate holds the lock.
# Behaviour: the client counts from the arrival of the answer. The old holder holds the lock beside the next one for as
#   long as the answer was late, and nothing tells it.
source "$(dirname "$0")/etcd.bash"
cat >finding.py <<'EOF'
import asyncio, sys, time

PORT, LATE = int(sys.argv[1].rpartition(":")[2]), 4
lost = False

async def pipe(reader, writer, late):
    while data := await reader.read(65536):
        if not lost:
            asyncio.get_running_loop().call_later(late, writer.write, data)

async def slow(reader, writer):
    from_etcd, to_etcd = await asyncio.open_connection("127.0.0.1", PORT)
    await asyncio.gather(pipe(reader, to_etcd, 0), pipe(from_etcd, writer, LATE))

async def lock(port):
    command = "./etcdctl", "--dial-timeout", "30s", "--endpoints", f"127.0.0.1:{port}", "lock", "--ttl", "12", "name"
    pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
    return await asyncio.create_subprocess_exec(*command, **pipes)

async def main():
    global lost
    links = []
    link = await asyncio.start_server(lambda *ends: links.append(asyncio.ensure_future(slow(*ends))), "127.0.0.1", 0)
    first = await lock(link.sockets[0].getsockname()[1])
    assert await first.stdout.readline()
    second = await lock(PORT)
    won = asyncio.create_task(second.stdout.readline())
    await asyncio.sleep(6)
    assert not won.done()
    lost, start = True, time.monotonic()
    print(f"TTL 12 s, etcd's answers to the first {LATE} s late; now its link is lost")
    await won
    held = time.monotonic()
    print(f"{held - start:4.1f} s: the second holds the lock")
    complaint = await first.stderr.read()
    over = time.monotonic()
    print(f"{over - start:4.1f} s: the first says: {complaint.decode().strip()}")
    second.terminate()
    await second.wait()
    assert b"session expired" in complaint and over - held > 1

asyncio.run(asyncio.wait_for(main(), 120))
EOF
python3 finding.py "$client"
echo "as found: two held the lock"
