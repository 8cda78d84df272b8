#!/bin/bash
# kube-leader-election 0.44.0 (crates.io, on kube 4.2.0), candidates at an API server that answers after 0.2 s.
# Guess: it says that it has no fencing, and goes by the clocks; but with a healthy API server, and one clock, a Lease
#   that has ended goes to one candidate, as the second write is a conflict, and who renews is told if it has lost.
# Behaviour: it writes patches without a resourceVersion, which are never a conflict. All who have read a Lease after its
#   end are told Acquired. A renewal that is late renews the successor's Lease, and is told Acquired, by a Lease that
#   names the successor.
set -euo pipefail
work=$(mktemp -d)
trap '[ -z "$(jobs -p)" ] || kill $(jobs -p); rm -rf "$work"' EXIT
cd "$work" && mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "finding"
edition = "2024"
[dependencies]
kube = { version = "=4.2.0", default-features = false, features = ["client"] }
k8s-openapi = { version = "=0.28.0", features = ["latest"] }
kube-leader-election = "=0.44.0"
tokio = { version = "1", features = ["macros", "rt", "time"] }
TOML
cat >src/main.rs <<'RUST'
use kube_leader_election::{LeaseLock, LeaseLockParams, LeaseLockResult::Acquired};
use std::{env, time::Duration};

/// Tries once, after some time; tells whether it acquired the Lease, and whom the Lease names that it got with that.
async fn tries(name: &str, after: f64) -> (bool, String) {
    tokio::time::sleep(Duration::from_secs_f64(after)).await;
    let config = kube::Config::new(env::args().nth(1).unwrap().parse().unwrap());
    let params = LeaseLockParams { lease_name: "lease".into(), holder_id: name.into(), lease_ttl: Duration::from_secs(2) };
    let lock = LeaseLock::new(kube::Client::try_from(config).unwrap(), "default", params);
    let result = lock.try_acquire_or_renew().await.unwrap();
    let acquired = matches!(result, Acquired(_));
    let holder = result.lease().and_then(|lease| lease.spec.clone()?.holder_identity).unwrap();
    println!("{name} has acquired: {acquired}, by a Lease that names {holder}");
    (acquired, holder)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert!(!tries("b", 0.0).await.0);
    println!("the first has crashed, its Lease is over");
    let (b, c) = tokio::join!(tries("b", 3.5), tries("c", 3.5));
    assert!(b.0 && c.0, "one was refused");
    assert!(tries("late", 3.5).await.0);
    println!("late renews, and its request is late");
    let (late, next) = tokio::join!(tries("late", 0.0), tries("next", 3.5));
    assert!(next.0 && late == (true, "next".into()));
}
RUST
cat >server.py <<'PYTHON'
"""An API server of one Lease. It answers a read after 0.2 s; a patch that is a renewal takes 5 s to come to it."""
import json, time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

renewed = datetime.now(timezone.utc).isoformat(timespec="microseconds")
spec = {"holderIdentity": "first", "leaseDurationSeconds": 2, "leaseTransitions": 0, "renewTime": renewed}

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(dict(spec))

    def do_PATCH(self):
        patch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert "merge-patch" in self.headers["Content-Type"] and "resourceVersion" not in patch["metadata"]
        time.sleep(0 if "holderIdentity" in patch["spec"] else 5)
        spec.update(patch["spec"])
        self.answer(dict(spec))

    def answer(self, now):
        time.sleep(0.2)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"metadata": {"name": "lease"}, "spec": now}).encode())

    log_message = lambda *_: None

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
PYTHON
cargo generate-lockfile --quiet
cargo update --quiet -p k8s-openapi@0.29.0 --precise 0.28.0  # the one that kube 4 is made for
cargo build --quiet --target-dir target
python3 server.py >address &
until [ -s address ]; do sleep 0.1; done
./target/debug/finding "$(cat address)"
echo "as found: two acquired one Lease, and one renewed another's"
