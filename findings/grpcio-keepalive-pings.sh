#!/bin/bash
# grpcio 1.85.3, a watch of etcd v3.7.3 on a channel with grpc.keepalive_time_ms, and no event.
# Guess: while a call is open, a PING is sent each 10 s, so a server that hangs is noticed in 10 s and the time-out.
# Behaviour: one or two come at that pace, and from then on one a minute, whatever the option says, since
#   grpc.http2.max_pings_without_data is 2. With 0 for it, there is one each 10 s.
source "$(dirname "$0")/etcd.bash"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check grpcio==1.85.3
cat >finding.py <<'PYTHON'
import socket, sys, threading, time

import grpc

WATCH_KEY = bytes((10, 5, 10, 3)) + b"key"  # WatchRequest(create_request=WatchCreateRequest(key=b"key"))
INTERVAL = 10
print("grpcio", grpc.__version__, f"grpc.keepalive_time_ms {INTERVAL * 1000}")

def exactly(source, size):
    data = bytearray()
    while len(data) < size:
        part = source.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return bytes(data)

def carry_frames(client, server, pings):
    """From the client to the server; notes when a PING of the client's own passes."""
    server.sendall(exactly(client, 24))
    while True:
        head = exactly(client, 9)
        if head[3] == 6 and not head[4]:
            pings.append(time.monotonic())
        server.sendall(head + exactly(client, int.from_bytes(head[:3])))

def carry(source, target):
    while data := source.recv(65536):
        target.sendall(data)

def between(pings):
    """The address of a relay to etcd for one connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    def serve():
        client, server = listener.accept()[0], socket.create_connection(sys.argv[1].split(":"))
        threading.Thread(target=carry, args=(server, client), daemon=True).start()
        carry_frames(client, server, pings)
    threading.Thread(target=serve, daemon=True).start()
    return "127.0.0.1:%d" % listener.getsockname()[1]

def watch(pings, *options):
    options = [("grpc.keepalive_time_ms", INTERVAL * 1000), ("grpc.keepalive_timeout_ms", 5000), *options]
    channel = grpc.insecure_channel(between(pings), options)
    done = threading.Event()
    def send():
        yield WATCH_KEY
        done.wait()
    answers = channel.stream_stream("/etcdserverpb.Watch/Watch")(send())
    next(answers)  # the watch is created; nothing follows
    return channel, answers, time.monotonic()

usual, each = [], []
watches = watch(usual), watch(each, ("grpc.http2.max_pings_without_data", 0))
time.sleep(13.5 * INTERVAL)
for words, pings, (_, _, since) in zip(("as it is", "max_pings_without_data 0"), (usual, each), watches):
    seconds = [round(ping - since) for ping in pings if ping > since]
    print(f"{words}: PINGs", *seconds, "s after the last message")
    if pings is usual:
        assert len(seconds) <= 4 and max(b - a for a, b in zip(seconds, seconds[1:])) > 5 * INTERVAL
    else:
        assert len(seconds) >= 10
PYTHON
timeout 300 venv/bin/python finding.py "$client"
echo "as found: one PING a minute"
