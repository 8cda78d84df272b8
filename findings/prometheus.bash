# Sourced by the scripts: builds Prometheus v3.16.0 in a temporary folder, which becomes the current one. Into it it writes
# prom.py: exporters of one metric, and what starts Prometheus, by prometheus.yml, and asks it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
module=github.com/prometheus/prometheus
printf 'module finding\ngo 1.26.0\nrequire %s v0.316.0\ntool %s/cmd/prometheus\n' $module $module >go.mod
go mod tidy 2>/dev/null
go list -m $module
go build -trimpath -o prometheus $module/cmd/prometheus
cat >prom.py <<'PYTHON'
import json, os, socket, subprocess, threading, time
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlencode
from urllib.request import urlopen

with socket.create_server(("127.0.0.1", 0)) as free:
    ADDRESS = "127.0.0.1:%d" % free.getsockname()[1]

class Exporter(HTTPServer):
    """Its `value` is the metric `leader`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(b"leader %d\n" % self.server.value)

        def log_message(self, *_):
            pass

    def __init__(self, value):
        self.value = value
        super().__init__(("127.0.0.1", 0), self.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

def discovered(*exporters):
    """Those are the targets from now on."""
    with open("new", "w") as file:
        json.dump([{"targets": [f"127.0.0.1:{exporter.server_port}" for exporter in exporters]}], file)
    os.rename("new", "targets.json")

def started():
    process = subprocess.Popen(["./prometheus", f"--web.listen-address={ADDRESS}"], stderr=subprocess.DEVNULL)
    for _ in range(300):
        try:
            urlopen(f"http://{ADDRESS}/-/ready").close()
            return process
        except OSError:
            time.sleep(0.2)
    raise TimeoutError

def ended(process):
    process.terminate()
    process.wait()

def ask(what, **parameters):
    with urlopen(f"http://{ADDRESS}/api/v1/{what}?{urlencode(parameters)}") as answer:
        return json.load(answer)["data"]
PYTHON
