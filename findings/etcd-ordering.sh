#!/bin/bash
# etcd's Go client v3.7.3, package ordering, which refuses answers older than one already seen, on an etcd v3.7.3 that
# has been put back to a backup, so that its revision is lower.
# Guess: a transaction whose answer is refused has not been made, or has been made once.
# Behaviour: it is made first, and the answer looked at afterwards; it is made again as long as the answer is refused,
#   seven times with one endpoint, and ends with an error. A lock that is taken "if it is free" is taken by the first time
#   and found taken by the others; its holder is told that it failed, and whoever tries next finds it taken.
source "$(dirname "$0")/etcd.bash"
etcd=$!
restart() {
  kill "$etcd" && wait "$etcd" || true
  "$@"
  ./etcd --data-dir data --listen-client-urls "http://$client" --advertise-client-urls "http://$client" \
    --listen-peer-urls "http://$peer" --initial-advertise-peer-urls "http://$peer" >>log 2>&1 &
  etcd=$!
  until ctl get ready >/dev/null 2>&1; do sleep 0.2; done
}
mkdir order && pushd order >/dev/null
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/ordering"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	ctx := context.Background()
	client := must(clientv3.New(clientv3.Config{Endpoints: os.Args[1:]}))
	ordered := ordering.NewKV(client.KV, ordering.NewOrderViolationSwitchEndpointClosure(client))
	another := ordering.NewKV(client.KV, ordering.NewOrderViolationSwitchEndpointClosure(client))
	must(another.Get(ctx, "lock"))
	fmt.Println("revision", must(ordered.Get(ctx, "lock")).Header.Revision)
	fmt.Scanln() // etcd is put back to a backup
	fmt.Println("revision", must(client.Get(ctx, "lock")).Header.Revision)
	lease := must(client.Grant(ctx, 60))
	free := clientv3.Compare(clientv3.CreateRevision("lock"), "=", 0)
	_, err := ordered.Txn(ctx).If(free).Then(clientv3.OpPut("lock", "me", clientv3.WithLease(lease.ID))).Commit()
	fmt.Println("taking the lock:", err)
	held := must(client.Get(ctx, "lock")).Kvs
	fmt.Printf("the lock has the value %q\n", held[0].Value)
	_, failed := another.Txn(ctx).Then(clientv3.OpPut("count", "")).Commit()
	times := must(client.Get(ctx, "count")).Kvs[0].Version
	fmt.Printf("a put: %v; it was made %d times\n", failed, times)
	if err != ordering.ErrNoGreaterRev || failed != err || string(held[0].Value) != "me" || times != 7 {
		panic("changed")
	}
}
GO
printf 'module finding\ngo 1.26.0\nrequire go.etcd.io/etcd/client/v3 v3.7.3\n' >go.mod
go mod tidy 2>/dev/null
go build && popd >/dev/null
restart cp -r data backup
for value in {1..40}; do ctl put other "$value" >/dev/null; done
mkfifo restored
exec 3<>restored
put_back() { rm -r data; mv backup data; }
./order/finding "$client" <restored >told 2>client.log &
finding=$!
until grep -q revision told; do sleep 0.1; done
restart put_back
echo >&3
wait $finding || { cat told client.log; exit 1; }
cat told
echo "as found: who was told that it failed holds the lock"
