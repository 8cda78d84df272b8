#!/bin/bash
# kubert 0.25.0 (crates.io, on kube 1.1.0), two candidates by LeaseManager::spawn, while the API server is away for 15 s.
# Guess: they try until it is back, as its source says that all errors of requests are tried again; then one of them leads.
# Behaviour: a candidate gives up after four tries, in a few seconds, as the back-off that it builds falls back on a default
#   of three repetitions. Its task ends with the error, and its receiver shows the last claim. Nobody leads, with a
#   healthy API server, for as long as the processes live, unless they notice that the task has ended.
set -euo pipefail
work=$(mktemp -d)
trap '[ -z "$(jobs -p)" ] || kill $(jobs -p); rm -rf "$work"' EXIT
cd "$work" && mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "finding"
edition = "2024"
[dependencies]
kube-client = { version = "=1.1.0", default-features = false, features = ["client", "config"] }
k8s-openapi = { version = "0.25", features = ["latest"] }
kubert = { version = "=0.25.0", default-features = false, features = ["lease"] }
tokio = { version = "1", features = ["macros", "rt", "time"] }
TOML
cat >src/main.rs <<'RUST'
use kube_client::{Api, Client, Config};
use kubert::lease::{ClaimParams, LeaseManager};
use std::{env::args, time::{Duration, Instant}};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (address, name) = (args().nth(1).unwrap(), args().nth(2).unwrap());
    let api = Api::namespaced(Client::try_from(Config::new(address.parse().unwrap())).unwrap(), "default");
    let params = ClaimParams { lease_duration: Duration::from_secs(6), renew_grace_period: Duration::from_secs(2) };
    let (claims, task) = LeaseManager::init(api, "lease").await.unwrap().spawn(&name, params).await.unwrap();
    let (start, mut last) = (Instant::now(), None);
    while start.elapsed() < Duration::from_secs(50) {
        let now = (claims.borrow().is_current_for(&name), task.is_finished());
        if last.replace(now) != Some(now) {
            println!("{:4.1} s: {name} leads: {}, its task has ended: {}", start.elapsed().as_secs_f64(), now.0, now.1);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let leads = claims.borrow().is_current_for(&name);
    println!("{name} leads: {leads}, its task has ended: {}", task.is_finished());
    assert!(task.is_finished() && !leads);
}
RUST
cat >server.py <<'PYTHON'
"""An API server of one Lease. It is away from the tenth second, for 15 s; a patch of an old resourceVersion is a conflict."""
import json, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

stored = {"metadata": {"name": "lease", "resourceVersion": "1"}, "spec": {}}

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, stored)

    def do_PATCH(self):
        patch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        version = stored["metadata"]["resourceVersion"]
        if patch["metadata"]["resourceVersion"] != version:
            return self.answer(409, {"status": "Failure", "code": 409, "reason": "Conflict", "message": ""})
        stored["spec"].update(patch["spec"])
        stored["metadata"]["resourceVersion"] = str(int(version) + 1)
        self.answer(200, stored)

    def answer(self, code, body):
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    log_message = lambda *_: None

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
threading.Timer(10, server.shutdown).start()
server.serve_forever()
server.server_close()
time.sleep(15)
ThreadingHTTPServer(server.server_address, Handler).serve_forever()
PYTHON
cargo build --quiet --target-dir target
python3 server.py >address &
until [ -s address ]; do sleep 0.1; done
./target/debug/finding "$(cat address)" a &
./target/debug/finding "$(cat address)" b
wait %2
echo "as found: the API server is back, and nobody leads"
