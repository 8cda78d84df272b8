#!/bin/bash
# etcd's Go client v3.7.3, package leasing, whose cache is to answer as etcd itself would; a candidate asks for the
# lock, takes it by a transaction with a lease of 5 s, and does not renew it.
# Guess: the end of a lease deletes the key at etcd, so the cache learns of it, or does not keep keys that have a lease.
# Behaviour: it does not keep a key that it finds with a lease, but one that it puts with a lease, without looking. When
#   etcd has deleted that key, reads still show it, and a transaction that asks "do I still lead?" says yes: each is
#   answered by the cache, without etcd, for as long as the process lives.
source "$(dirname "$0")/etcd.bash"
mkdir cache && pushd cache >/dev/null
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/leasing"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	client := must(clientv3.New(clientv3.Config{Endpoints: os.Args[1:]}))
	cached, _, err := leasing.NewKV(client, "leasing/")
	must(0, err)
	holder := func(kv clientv3.KV) string {
		for _, found := range must(kv.Get(ctx, "lock")).Kvs {
			return string(found.Value)
		}
		return "nobody"
	}
	free := clientv3.Compare(clientv3.CreateRevision("lock"), "=", 0)
	take := func(kv clientv3.KV, name string, ttl int64) *clientv3.TxnResponse {
		lease := clientv3.WithLease(must(client.Grant(ctx, ttl)).ID)
		return must(kv.Txn(ctx).If(free).Then(clientv3.OpPut("lock", name, lease)).Commit())
	}
	fmt.Println("the lock is held by", holder(cached))
	taken := take(cached, "first", 5)
	fmt.Println("the first one takes it:", taken.Succeeded)
	time.Sleep(12 * time.Second)
	fmt.Println("12 s later it is held by", holder(client))
	next := take(client, "second", 60).Succeeded
	fmt.Println("the second one takes it:", next)
	seen := holder(cached)
	mine := clientv3.Compare(clientv3.CreateRevision("lock"), "=", taken.Header.Revision)
	leads := must(cached.Txn(ctx).If(mine).Then(clientv3.OpGet("lock")).Commit()).Succeeded
	fmt.Printf("the first one reads %q; that it still holds the lock is %v\n", seen, leads)
	if !taken.Succeeded || !next || seen != "first" || !leads {
		panic("changed")
	}
}
GO
printf 'module finding\ngo 1.26.0\nrequire go.etcd.io/etcd/client/v3 v3.7.3\n' >go.mod
go mod tidy 2>/dev/null
go build && popd >/dev/null
./cache/finding "$client" 2>client.log || { cat client.log; exit 1; }
echo "as found: the cache holds on to a lock that is over"
