#!/bin/bash
# etcd v3.7.3, `grpc-proxy start --namespace=team-a/`, and two clients of that one proxy that want the lock `job`: one by
# the Go client's Mutex, one by the Lock service, which the proxy has, too.
# Guess: each request through the proxy gets the prefix, as the flag says, so the second one waits.
# Behaviour: the Lock and Election services pass without it. Both hold `job`; the second one's key is outside team-a/,
#   among those of all other namespaces. Who holds it by the service does not find its key through the proxy, so that
#   a write which compares it is refused.
source "$(dirname "$0")/etcd.bash"
mkdir lock && pushd lock >/dev/null
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	proxy := must(clientv3.New(clientv3.Config{Endpoints: os.Args[1:2]}))
	keys := func(endpoint string) (all []string) {
		client := must(clientv3.New(clientv3.Config{Endpoints: []string{endpoint}}))
		for _, kv := range must(client.Get(ctx, "", clientv3.WithPrefix())).Kvs {
			all = append(all, string(kv.Key))
		}
		return all
	}
	mutex := concurrency.NewMutex(must(concurrency.NewSession(proxy)), "job")
	must(0, mutex.Lock(ctx))
	fmt.Println("the Mutex is locked, by the key", mutex.Key())
	request := &v3lockpb.LockRequest{Name: []byte("job"), Lease: int64(must(concurrency.NewSession(proxy)).Lease())}
	lock := string(must(v3lockpb.NewLockClient(proxy.ActiveConnection()).Lock(ctx, request)).Key)
	fmt.Println("the Lock service answers that it is locked, by the key", lock)
	held := clientv3.Compare(clientv3.CreateRevision(lock), "!=", 0)
	write := must(proxy.Txn(ctx).If(held).Then(clientv3.OpPut("data", "")).Commit())
	fmt.Println("a write through the proxy, if that key is there:", write.Succeeded)
	seen, all := keys(os.Args[1]), keys(os.Args[2])
	fmt.Println("keys through the proxy:", seen)
	fmt.Println("keys in etcd:", all)
	if write.Succeeded || len(seen) != 1 || len(all) != 2 || all[0] != lock || all[1] != "team-a/"+mutex.Key() {
		panic("changed")
	}
}
GO
printf 'module finding\ngo 1.26.0\nrequire (\n\tgo.etcd.io/etcd/client/v3 v3.7.3\n\tgo.etcd.io/etcd/server/v3 v3.7.3\n)\n' >go.mod
go mod tidy 2>/dev/null
go build && popd >/dev/null
proxy=$(python3 -c 'import socket; print("127.0.0.1:%d" % socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
./etcd grpc-proxy start --endpoints "$client" --listen-addr "$proxy" --namespace team-a/ >proxy.log 2>&1 &
for _ in $(seq 100); do ./etcdctl --endpoints "$proxy" get ready >/dev/null 2>&1 && break; sleep 0.2; done
./lock/finding "$proxy" "$client" 2>client.log || { cat client.log; exit 1; }
echo "as found: two hold the lock, through one proxy"
