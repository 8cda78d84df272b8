#!/bin/bash
# etcd-client 0.21.1 (crates.io, on tonic), ConnectOptions::with_keep_alive, which has HTTP/2's PINGs sent, at intervals of 3
# and of 6 s; a watch of a key that nobody changes.
# Guess: more PINGs find a lost connection sooner, and do no harm; if etcd has enough of them, the client sends fewer.
# Behaviour: at 3 s etcd ends the connection with the fourth one, as it allows one in 5 s, and anew each time: the client
#   goes on at its pace. Each quiet watch, and each wait for a lock, ends after 13 s, with "broken pipe",
#   which says nothing of PINGs. Where etcd has something to send in between, as answers to keep-alives, it does not count.
source "$(dirname "$0")/etcd.bash"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check grpcio-tools==1.85.1  # has protoc, which the crate's build needs
printf '#!/bin/sh\nexec %s/venv/bin/python -m grpc_tools.protoc "$@"\n' "$work" >protoc && chmod +x protoc
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "finding"
edition = "2024"
[dependencies]
etcd-client = "=0.21.1"
tokio = { version = "1", features = ["macros", "rt", "time"] }
TOML
cat >src/main.rs <<'RUST'
use etcd_client::{Client, ConnectOptions, PutOptions};
use std::{env, time::{Duration, Instant}};
use tokio::time::{sleep, timeout};

async fn connected(interval: u64) -> Client {
    let options = ConnectOptions::new().with_keep_alive(Duration::from_secs(interval), Duration::from_secs(2));
    Client::connect([env::args().nth(1).unwrap()], Some(options)).await.unwrap()
}

/// How many seconds it took until the stream of a quiet watch ended, if it did within 40; what it said is printed.
async fn watched(client: &mut Client, case: &str) -> Option<u64> {
    let (mut watch, start) = (client.watch("leader", None).await.unwrap(), Instant::now());
    let over = async { loop { if let Err(error) = watch.message().await { return error } } };
    let ended = timeout(Duration::from_secs(40), over).await.ok();
    println!("{case}: after {:.0} s: {}", start.elapsed().as_secs_f64(), ended.as_ref().map_or("it goes on".into(), |e| e.to_string()));
    ended.map(|_| start.elapsed().as_secs())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut often = connected(3).await;
    for _ in 0..2 {
        let seconds = watched(&mut often, "a PING each 3 s").await;
        assert!(seconds.is_some_and(|n| (9..20).contains(&n)));
    }
    connected(6).await.lock("lock", None).await.unwrap();
    let start = Instant::now();
    let error = often.lock("lock", None).await.unwrap_err();
    println!("a PING each 3 s: after {:.0} s the wait for a lock: {error}", start.elapsed().as_secs_f64());
    assert!((9..20).contains(&start.elapsed().as_secs()));
    assert_eq!(watched(&mut connected(6).await, "a PING each 6 s").await, None);
    let lease = often.lease_grant(10, None).await.unwrap().id();
    often.put("other", "me", Some(PutOptions::new().with_lease(lease))).await.unwrap();
    let (mut keeper, mut answers) = often.lease_keep_alive(lease).await.unwrap();
    let kept = async { loop {
        keeper.keep_alive().await.unwrap();
        answers.message().await.unwrap();
        sleep(Duration::from_secs(2)).await;
    } };
    tokio::select! {
        () = kept => (),
        ended = async { watched(&mut often.clone(), "a PING each 3 s, a keep-alive each 2 s").await } => assert_eq!(ended, None),
    }
}
RUST
PROTOC="$work/protoc" cargo build --quiet --target-dir target
grep -A1 'name = "etcd-client"' Cargo.lock
./target/debug/finding "http://$client"
echo "as found: the PINGs that were to guard the watch have ended it"
