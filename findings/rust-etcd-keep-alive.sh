#!/bin/bash
# etcd-client 0.21.1 (crates.io), LeaseKeeper::keep_alive() of a lease that has ended; etcd v3.7.3.
# Guess: it asks and waits for the answer, as its description has it, so it fails when the lease has ended, as
#   lease_keep_alive() does, which says that the lease is not found.
# Behaviour: it sends, and waits for no answer: Ok(()) for ever. The stream beside it has an answer for each, which is no
#   error either, with the TTL 0.
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
use etcd_client::{Client, LeaseKeeper, PutOptions};
use std::{env, time::Duration};
use tokio::time::{sleep, timeout};

/// How many of five, a second apart, are Ok.
async fn kept(keeper: &mut LeaseKeeper) -> u32 {
    let mut ok = 0;
    for _ in 0..5 {
        ok += u32::from(keeper.keep_alive().await.is_ok());
        sleep(Duration::from_secs(1)).await;
    }
    ok
}

async fn leads(client: &mut Client) -> bool {
    client.get("leader", None).await.unwrap().count() == 1
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut client = Client::connect([env::args().nth(1).unwrap()], None).await.unwrap();
    let id = client.lease_grant(60, None).await.unwrap().id();
    client.put("leader", "me", Some(PutOptions::new().with_lease(id))).await.unwrap();
    let (mut keeper, mut answers) = client.lease_keep_alive(id).await.unwrap();
    println!("the lease lives: {} of 5 keep_alive() are Ok", kept(&mut keeper).await);
    assert!(leads(&mut client).await);
    client.lease_revoke(id).await.unwrap();
    let ok = kept(&mut keeper).await;
    println!("the lease has ended, its key with it: {ok} of 5 keep_alive() are Ok");
    assert!(ok == 5 && !leads(&mut client).await);
    let mut ttls = vec![];
    while let Ok(answer) = timeout(Duration::from_secs(2), answers.message()).await {
        ttls.push(answer.unwrap().unwrap().ttl());
    }
    println!("answers on the stream, by their TTL: {ttls:?}");
    assert!(ttls == [60, 60, 60, 60, 60, 0, 0, 0, 0, 0]);
    let error = client.lease_keep_alive(id).await.unwrap_err();
    println!("another lease_keep_alive(): {error}");
}
RUST
PROTOC="$work/protoc" cargo build --quiet --target-dir target
./target/debug/finding "http://$client"
echo "as found: keep_alive() of a lease that has ended is Ok"
