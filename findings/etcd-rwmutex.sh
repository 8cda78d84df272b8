#!/bin/bash
# etcd's Go client v3.7.3, package recipes: RWMutex.Lock, whose session ends while it waits.
# Guess: Lock returns an error, as Mutex.Lock does then ("session is expired"), or at least waits in vain.
# Behaviour: nobody looks at the session, nor whether the key that stands for the waiter is still there. When the holder
#   unlocks, Lock returns nil to the one that has no key, and to the next one in the queue: two hold the write lock. The
#   first one's Unlock succeeds, too.
source "$(dirname "$0")/etcd.bash"
mkdir rw && cd rw
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	recipe "go.etcd.io/etcd/client/v3/experimental/recipes"
)

var client *clientv3.Client

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func session() *concurrency.Session {
	session, err := concurrency.NewSession(client, concurrency.WithTTL(5))
	must(err)
	return session
}

// keys is how many stand in the queue, the holder with them.
func keys(prefix string) int {
	answer, err := client.Get(context.Background(), prefix, clientv3.WithPrefix())
	must(err)
	return len(answer.Kvs)
}

// told is what waiting for the lock came to, once that many stand in its queue.
func told(prefix string, count int, lock func() error) chan error {
	result := make(chan error, 1)
	go func() { result <- lock() }()
	for keys(prefix) != count {
		time.Sleep(100 * time.Millisecond)
	}
	return result
}

func main() {
	var err error
	client, err = clientv3.New(clientv3.Config{Endpoints: os.Args[1:]})
	must(err)
	holder, late := session(), session()
	mutex := concurrency.NewMutex(holder, "mutex")
	must(mutex.Lock(context.Background()))
	waits := told("mutex", 2, func() error { return concurrency.NewMutex(late, "mutex").Lock(context.Background()) })

	rw, lateRW, nextRW := recipe.NewRWMutex(holder, "rw"), recipe.NewRWMutex(late, "rw"), recipe.NewRWMutex(session(), "rw")
	must(rw.Lock())
	lateWaits := told("rw", 2, lateRW.Lock)
	nextWaits := told("rw", 3, nextRW.Lock)

	_, err = client.Revoke(context.Background(), late.Lease()) // as when it ends after a pause
	must(err)
	<-late.Done()
	must(mutex.Unlock(context.Background()))
	err = <-waits
	fmt.Println("Mutex.Lock of the late one:", err)
	if err == nil {
		panic("the Mutex has changed")
	}
	must(rw.Unlock())
	fmt.Println("RWMutex.Lock of the next one:", <-nextWaits)
	err = <-lateWaits
	fmt.Printf("RWMutex.Lock of the late one: %v; keys: %d\n", err, keys("rw"))
	must(err)
	fmt.Println("RWMutex.Unlock of the late one:", lateRW.Unlock(), "keys:", keys("rw"))
}
GO
printf 'module finding\ngo 1.26.0\nrequire go.etcd.io/etcd/client/v3 v3.7.3\n' >go.mod
go mod tidy 2>/dev/null
go list -m go.etcd.io/etcd/client/v3
timeout 120 go run . "$client" 2>client.log || { tail client.log; exit 1; }
echo "as found: two held the lock for writing"
