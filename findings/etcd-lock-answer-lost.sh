#!/bin/bash
# etcd's Go client v3.7.3, package concurrency: the answer to Lock and to Campaign comes after the context's limit.
# Guess: who is told "deadline exceeded" does not have the lock; who wants to be sure calls Unlock or Resign after it.
# Behaviour: etcd has put the key, and the session keeps it alive: the lock is held, and an observer names the leader,
#   for as long as the process lives, though nobody works. Unlock answers "lock has already been released", Resign
#   success, and neither sends anything. A second try by the same session, or the session's end, gets out of it.
source "$(dirname "$0")/etcd.bash"
mkdir late && cd late
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

var late atomic.Bool // etcd's answers take two seconds more

func link(listener net.Listener, etcd string) {
	near, _ := listener.Accept()
	far, err := net.Dial("tcp", etcd)
	expect("link", err, "<nil>")
	go io.Copy(far, near)
	for buffer := make([]byte, 65536); err == nil; {
		var n int
		if n, err = far.Read(buffer); late.Load() {
			time.Sleep(2 * time.Second)
		}
		near.Write(buffer[:n])
	}
}

func expect(what string, err error, wanted string) {
	fmt.Printf("%s: %v\n", what, err)
	if fmt.Sprint(err) != wanted {
		panic("changed: " + what)
	}
}

func session(address string) *concurrency.Session {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{address}})
	expect("client", err, "<nil>")
	made, err := concurrency.NewSession(client, concurrency.WithTTL(6))
	expect("session", err, "<nil>")
	return made
}

func within(limit time.Duration) context.Context {
	ctx, _ := context.WithTimeout(context.Background(), limit)
	return ctx
}

func main() {
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	go link(listener, os.Args[1])
	one, other := session(listener.Addr().String()), session(os.Args[1])
	mutex, election := concurrency.NewMutex(one, "lock"), concurrency.NewElection(one, "election")
	late.Store(true)
	expect("Lock, its answer late", mutex.Lock(within(time.Second)), "context deadline exceeded")
	expect("Campaign, its answer late", election.Campaign(within(time.Second), "one"), "context deadline exceeded")
	late.Store(false)
	time.Sleep(3 * time.Second)
	expect("Unlock", mutex.Unlock(within(time.Second)), concurrency.ErrLockReleased.Error())
	expect("Resign", election.Resign(within(time.Second)), "<nil>")
	time.Sleep(18 * time.Second)
	mutex = concurrency.NewMutex(other, "lock")
	expect("three TTLs later, TryLock of another process", mutex.TryLock(within(time.Second)), concurrency.ErrLocked.Error())
	leader := <-concurrency.NewElection(other, "election").Observe(within(time.Second))
	fmt.Printf("it observes the leader: %s\n", leader.Kvs[0].Value)
	expect("the session's end", one.Close(), "<nil>")
	expect("TryLock", mutex.TryLock(within(time.Second)), "<nil>")
}
GO
printf 'module finding\ngo 1.26.0\nrequire go.etcd.io/etcd/client/v3 v3.7.3\n' >go.mod
go mod tidy 2>/dev/null
go list -m go.etcd.io/etcd/client/v3
go run . "$client" 2>client.log
echo "as found: who was told that it has not got the lock has it, and cannot give it back"
