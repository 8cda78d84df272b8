#!/bin/bash
# etcd's Go client v3.7.3, package concurrency: two Mutexes, and two Elections, of one name made from one Session.
# Guess: the second waits until the first has unlocked or resigned; TryLock says that it is locked.
# Behaviour: a key is the name and the session's lease, so both have the same key, and the same success at once. The
#   first Unlock or Resign takes the key from under the second, whose own Unlock answers success as well.
source "$(dirname "$0")/etcd.bash"
mkdir session && cd session
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

func expect(what string, err error, wanted string) {
	fmt.Printf("%s: %v\n", what, err)
	if fmt.Sprint(err) != wanted {
		panic("changed: " + what)
	}
}

func main() {
	client, err := clientv3.New(clientv3.Config{Endpoints: os.Args[1:]})
	expect("client", err, "<nil>")
	one, err := concurrency.NewSession(client)
	expect("session", err, "<nil>")
	other, err := concurrency.NewSession(client)
	expect("another session", err, "<nil>")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	first, second := concurrency.NewMutex(one, "lock"), concurrency.NewMutex(one, "lock")
	stranger := concurrency.NewMutex(other, "lock")
	expect("first Lock", first.Lock(ctx), "<nil>")
	expect("TryLock of another session", stranger.TryLock(ctx), concurrency.ErrLocked.Error())
	expect("TryLock of the same session", concurrency.NewMutex(one, "lock").TryLock(ctx), "<nil>")
	expect("second Lock", second.Lock(ctx), "<nil>")
	expect("first Unlock", first.Unlock(ctx), "<nil>")
	expect("TryLock of another session, while the second has not unlocked", stranger.TryLock(ctx), "<nil>")
	expect("second Unlock", second.Unlock(ctx), "<nil>")

	a, b := concurrency.NewElection(one, "election"), concurrency.NewElection(one, "election")
	expect("Campaign of a", a.Campaign(ctx, "a"), "<nil>")
	expect("Campaign of b", b.Campaign(ctx, "b"), "<nil>")
	expect("Proclaim of a", a.Proclaim(ctx, "a"), "<nil>")
	expect("Proclaim of b", b.Proclaim(ctx, "b"), "<nil>")
	expect("Resign of a", a.Resign(ctx), "<nil>")
	expect("Proclaim of b", b.Proclaim(ctx, "b"), concurrency.ErrElectionNotLeader.Error())
}
GO
cat >go.mod <<'GO'
module finding
go 1.26.0
require go.etcd.io/etcd/client/v3 v3.7.3
GO
go mod tidy 2>/dev/null
go list -m go.etcd.io/etcd/client/v3
go run . "$client"
echo "as found: two of one session held the lock, two led"
