#!/bin/bash
# kube-lease-manager 0.13.1 (crates.io, on kube 5.0.0), LeaseManager::watch: two candidates wait for a Lease whose holder is
# gone; the API server is healthy, and one request takes two seconds.
# Guess: the write by which a Lease that has ended is taken away from its holder is refused if it has been taken meanwhile.
# Behaviour: it has no precondition. Both candidates empty the Lease before they take it; the one that comes late empties
#   that of the next leader, and takes it. The next leader's channel says true until its own renewal, which renews the
#   other's Lease.
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
use tokio::sync::watch::Receiver;

async fn candidate(name: &str) -> Receiver<bool> {
    let client = Client::try_from(Config::new(args().nth(1).unwrap().parse().unwrap())).unwrap();
    let manager = LeaseManagerBuilder::new(client, "lease").with_identity(name).with_field_manager(name);
    manager.with_duration(15).with_grace(3).build().await.unwrap().watch().await.0
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (prompt, late) = (candidate("prompt").await, candidate("late").await);
    let (start, mut last, mut both) = (Instant::now(), None, 0.0);
    while start.elapsed() < Duration::from_secs(40) {
        let now = (*prompt.borrow(), *late.borrow());
        if last.replace(now) != Some(now) {
            println!("{:4.1} s: prompt leads: {}, late leads: {}", start.elapsed().as_secs_f64(), now.0, now.1);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        both += if now == (true, true) { 0.1 } else { 0.0 };
    }
    println!("both lead, for some {both:.0} s");
    assert!(both > 5.0);
}
RUST
cat >server.py <<'PYTHON'
"""An API server of one Lease, whose holder is gone. A request of `late` that empties it takes two seconds, once."""
import json, threading, time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
spec = {"holderIdentity": "gone", "leaseDurationSeconds": 6, "acquireTime": now, "renewTime": now}
lease = {"metadata": {"name": "lease", "resourceVersion": "1"}, "spec": spec}
slow = [2]

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(lease).encode())

    def do_PATCH(self):
        patch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["spec"]
        if "fieldManager=late" in self.path and patch.get("holderIdentity", "") is None and slow:
            time.sleep(slow.pop())
        lease["spec"] = {name: value for name, value in (lease["spec"] | patch).items() if value is not None}
        lease["metadata"]["resourceVersion"] = str(int(lease["metadata"]["resourceVersion"]) + 1)
        self.do_GET()

    log_message = lambda *_: None

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
PYTHON
cargo build --quiet --target-dir target
grep -A1 'name = "kube-lease-manager"' Cargo.lock
python3 server.py >address &
until [ -s address ]; do sleep 0.1; done
./target/debug/finding "$(cat address)"
echo "as found: two led, with a healthy API server"
