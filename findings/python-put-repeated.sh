#!/bin/bash
# The Python package kubernetes 37.0.2 (with urllib3 2.8.0), its kubernetes.aio (with aiohttp 3.14.5): an API server
# that carries a write out and ends before it answers, as one that is stopped, or a load balancer, does.
# Guess: the caller gets an exception, and knows that it does not know.
# Behaviour: PUT and DELETE are silently sent again, by both. A replace_ is so refused with 409 because of one's own
#   write: "somebody else has written". A delete_ is done twice, in between anybody may have made the object anew.
#   PATCH and POST raise.
source "$(dirname "$0")/python.bash" kubernetes==37.0.2 urllib3==2.8.0 aiohttp==3.14.5
cat >finding.py <<'PYTHON'
import asyncio, http.server, inspect, json, socket, threading
from importlib.metadata import version as installed

from kubernetes import aio, client

print(*(f"{name} {installed(name)}" for name in ("kubernetes", "urllib3", "aiohttp")))
version, hang_ups, requests = 1, 0, []

class Api(http.server.BaseHTTPRequestHandler):
    """A Lease. Writes that name an old resourceVersion are refused; after `hang_ups` writes no answer comes."""
    protocol_version = "HTTP/1.1"

    def lease(self):
        return {"metadata": {"name": "l", "namespace": "d", "resourceVersion": str(version)}, "spec": {}}

    def answer(self, code, body):
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        self.answer(200, self.lease())

    def write(self):
        global version, hang_ups
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
        current = body.get("metadata", {}).get("resourceVersion") in (None, str(version))
        requests.append(self.command + (" done" if current else " refused"))
        version += current
        if hang_ups:
            hang_ups, self.close_connection = hang_ups - 1, True
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self.answer(200 if current else 409, self.lease() if current else {"code": 409, "reason": "Conflict"})

    do_PUT = do_POST = do_PATCH = do_DELETE = write

    def log_message(self, *words):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"

async def try_all(name, api):
    global hang_ups
    for verb, words, wanted in (("replace", ["l", "d"], "409"), ("delete", ["l", "d"], "success"),
                                ("patch", ["l", "d", {}], "exception"), ("create", ["d", {}], "exception")):
        body = [{"metadata": {"name": "l", "resourceVersion": str(version)}, "spec": {}}] * (verb == "replace")
        hang_ups, outcome = 1, "success"
        requests.clear()
        try:
            answer = getattr(api, f"{verb}_namespaced_lease")(*words, *body)
            await answer if inspect.isawaitable(answer) else None
        except Exception as error:
            outcome = str(getattr(error, "status", "exception"))
        print(f"{name} {verb}: {outcome}; the server saw {', '.join(requests)}")
        assert outcome == wanted and len(requests) == (1 if wanted == "exception" else 2)

async def main():
    await try_all("kubernetes    ", client.CoordinationV1Api(client.ApiClient(client.Configuration(host=url))))
    async with aio.client.ApiClient(aio.client.Configuration(host=url)) as api:
        await try_all("kubernetes.aio", aio.client.CoordinationV1Api(api))

asyncio.run(main())
PYTHON
venv/bin/python -W ignore finding.py
echo "as found: writes that the server had done were sent again"
