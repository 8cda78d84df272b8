#!/bin/bash
# grpcio 1.85.3, a client whose server was away for half a minute, and is back.
# Guess: the first call after that connects; at the latest, one on a new channel does.
# Behaviour: calls are refused at once, without a try, until the pause before the next try is over, which grows with the
#   outage, up to two minutes. A new channel of the same arguments is in the old one's pause, too, though it has never
#   tried. One whose arguments differ, if only in its user agent, connects at once.
source "$(dirname "$0")/python.bash" grpcio==1.85.3
cat >finding.py <<'PY'
import contextlib
import socket
import threading
import time
from concurrent import futures

import grpc

TRIES = 7
METHOD = "/service/method"


def serve(address):
    """A server whose only method answers with nothing, and its port."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    method = grpc.unary_unary_rpc_method_handler(lambda request, context: b"")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("service", {"method": method}),))
    port = server.add_insecure_port(address)
    server.start()
    return server, port


def answered(channel):
    try:
        channel.unary_unary(METHOD)(b"", timeout=5)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        return False
    return True


def first_answer(channel, since):
    """Seconds from `since` to the first call that is answered; a call is made every 0.2 s."""
    while not answered(channel):
        assert time.monotonic() - since < 180
        time.sleep(0.2)
    return time.monotonic() - since


def end_connections(listener):
    """What a server that is away does here, so that the client's tries are counted."""
    with contextlib.suppress(OSError):
        while True:
            listener.accept()[0].close()
            tries.append(time.monotonic())


print("grpcio", grpc.__version__)
server, port = serve("127.0.0.1:0")
target = f"127.0.0.1:{port}"
old = grpc.insecure_channel(target)
assert answered(old)
server.stop(0).wait()
away = time.monotonic()
tries = []
with socket.create_server(("127.0.0.1", port)) as listener:
    threading.Thread(target=end_connections, args=(listener,), daemon=True).start()
    while len(tries) < TRIES:
        assert not answered(old) and time.monotonic() - away < 180
        time.sleep(0.1)
    listener.shutdown(socket.SHUT_RDWR)
server, again = serve(target)
back = time.monotonic()
assert again == port
new, other = grpc.insecure_channel(target), grpc.insecure_channel(target, options=[("grpc.primary_user_agent", "x")])
refused = not answered(new), not answered(old)
at_once = first_answer(other, back)
waited = first_answer(new, back), first_answer(old, back)
print(f"the server was away for {back - away:.0f} s, with {TRIES} tries, the last two {tries[-1] - tries[-2]:.0f} s apart")
print(f"answered when it is back: other arguments after {at_once:.1f} s, a new channel of the same arguments after "
      f"{waited[0]:.1f} s, the old one after {waited[1]:.1f} s")
assert all(refused) and waited[0] > at_once + 3
PY
venv/bin/python finding.py
echo "as found: a new channel inherits the pause of the old one"
