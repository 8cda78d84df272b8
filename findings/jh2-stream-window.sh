#!/bin/bash
# jh2 5.0.15 (the HTTP/2 of urllib3-future and niquests) beside h2 4.4.1: a peer whose SETTINGS do not name
# INITIAL_WINDOW_SIZE, as etcd's and any gRPC server's in Go, and that enlarges the connection's window.
# Guess: jh2 has h2's interface, so a stream's first window is HTTP/2's default, 65,535 bytes.
# Behaviour: it takes the default to be 6 MiB (what browsers announce of themselves) and sends on. The peer ends the stream
#   with FLOW_CONTROL_ERROR. Requests up to 64 KiB, and peers that name the setting, never meet it.
source "$(dirname "$0")/python.bash" jh2==5.0.15 h2==4.4.1
cat >finding.py <<'PY'
import struct
from importlib.metadata import version

import h2.config
import h2.connection
import h2.exceptions
import jh2.config
import jh2.connection

HEADERS = [(":method", "POST"), (":path", "/a/b"), (":scheme", "http"), (":authority", "peer")]
SIZE = 100_000


def talk(library):
    """Bytes that the client sends of one request, and what h2's server makes of them."""
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    server.initiate_connection()
    server.data_to_send()  # h2 names every setting: send SETTINGS that name MAX_FRAME_SIZE (5) alone, as Go's server does
    settings = struct.pack(">HBBBIHI", 0, 6, 4, 0, 0, 5, 16_384)
    server.increment_flow_control_window(1_000_000)
    client = library.connection.H2Connection(library.config.H2Configuration(client_side=True))
    client.initiate_connection()
    client.receive_data(settings + server.data_to_send())
    client.send_headers(1, HEADERS)
    sent = 0
    while part := min(SIZE - sent, client.local_flow_control_window(1), client.max_outbound_frame_size):
        client.send_data(1, bytes(part))
        sent += part
    try:
        server.receive_data(client.data_to_send())
    except h2.exceptions.FlowControlError:
        return sent, "FlowControlError"
    return sent, "taken"


print(f"jh2 {version('jh2')}, h2 {version('h2')}: a request of {SIZE:,} bytes, stream window not named")
expected = {h2: (65_535, "taken"), jh2: (SIZE, "FlowControlError")}
for library, result in expected.items():
    sent, outcome = talk(library)
    print(f"{library.__name__} sends {sent:,} bytes; the server's answer: {outcome}")
    assert (sent, outcome) == result
PY
venv/bin/python finding.py
