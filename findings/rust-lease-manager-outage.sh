#!/bin/bash
# kube-lease-manager 0.13.1 (crates.io, on kube 5.0.0), two candidates by LeaseManager::watch; the leader is cut off from
# the API server.
# Guess: when its lease is over, the leader's channel says false; at most its task ends with an error.
# Behaviour: the channel says true for as long as the leader is cut off. A request that fails is logged and tried again
#   after a pause; nobody compares the clock with the lease. The next candidate leads beside it.
set -euo pipefail
work=$(mktemp -d)
trap '[ -z "$(jobs -p)" ] || kill $(jobs -p); rm -rf "$work"' EXIT
cd "$work" && mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "finding"
edition = "2024"
[dependencies]
kube = { version = "=5.0.0", default-features = false, features = ["client"] }
k8s-openapi = { version = "0.29", features = ["latest"] }
kube-lease-manager = "=0.13.1"
tokio = { version = "1", features = ["macros", "rt", "time"] }
TOML
cat >src/main.rs <<'RUST'
use kube::{Client, Config};
use kube_lease_manager::LeaseManagerBuilder;
use std::{env::args, time::{Duration, Instant}};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (address, name) = (args().nth(1).unwrap(), args().nth(2).unwrap());
    let client = Client::try_from(Config::new(address.parse().unwrap())).unwrap();
    let manager = LeaseManagerBuilder::new(client, "lease").with_identity(&name).with_duration(6).with_grace(2).build();
    let (leads, task) = manager.await.unwrap().watch().await;
    let (start, mut last) = (Instant::now(), None);
    while start.elapsed() < Duration::from_secs(60) {
        let now = (*leads.borrow(), task.is_finished());
        if last.replace(now) != Some(now) {
            println!("{:4.1} s: {name} leads: {}, its task has ended: {}", start.elapsed().as_secs_f64(), now.0, now.1);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("60.0 s: {name} leads: {}, its task has ended: {}", *leads.borrow(), task.is_finished());
    assert!(*leads.borrow() && !task.is_finished());
}
RUST
cat >server.py <<'PYTHON'
"""An API server of one Lease, with an address for each candidate; the first one's is gone from the tenth second on."""
import json, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

lease = {"metadata": {"name": "lease", "resourceVersion": "1"}, "spec": {}}

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer()

    def do_PATCH(self):
        patch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["spec"]
        lease["spec"] = {name: value for name, value in (lease["spec"] | patch).items() if value is not None}
        lease["metadata"]["resourceVersion"] = str(int(lease["metadata"]["resourceVersion"]) + 1)
        self.answer()

    def answer(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(lease).encode())

    log_message = lambda *_: None

servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
for server in servers:
    threading.Thread(target=server.serve_forever).start()
print(*(f"http://127.0.0.1:{server.server_port}" for server in servers), flush=True)
threading.Event().wait(10)
servers[0].shutdown()
servers[0].server_close()
PYTHON
cargo build --quiet --target-dir target
grep -A1 'name = "kube-lease-manager"' Cargo.lock
python3 server.py >addresses &
until [ -s addresses ]; do sleep 0.1; done
read -r first second <addresses
./target/debug/finding "$first" first &
sleep 2
./target/debug/finding "$second" second
wait %2
echo "as found: both lead"
