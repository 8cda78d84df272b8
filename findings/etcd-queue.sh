#!/bin/bash
# etcd's Go client v3.7.3, package recipes: Queue.Dequeue, beside other names that begin as the queue's does.
# Guess: the queue `job` gives out what was put into the queue `job`, as PriorityQueue does, and Mutex and Election keep
#   to their own keys.
# Behaviour: Dequeue takes the oldest key that begins with the name, deletes it, and returns its value as a piece of
#   work: what was put into the queue `jobs`, and the leader's key of the election `job-leader`. The leader is deposed by
#   a worker; its lease is alive and its session tells it nothing, and the next candidate leads beside it.
source "$(dirname "$0")/etcd.bash"
mkdir queue && cd queue
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

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// candidate stands for `job-leader` with a session of its own, and says when it leads.
func candidate(client *clientv3.Client, name string) (*concurrency.Session, chan string) {
	session, err := concurrency.NewSession(client, concurrency.WithTTL(10))
	must(err)
	leads := make(chan string, 1)
	go func() {
		must(concurrency.NewElection(session, "job-leader").Campaign(context.Background(), name))
		leads <- name
	}()
	return session, leads
}

func main() {
	client, err := clientv3.New(clientv3.Config{Endpoints: os.Args[1:]})
	must(err)
	first, leads := candidate(client, "first")
	fmt.Println(<-leads, "leads")
	_, next := candidate(client, "second")
	time.Sleep(time.Second)
	must(recipe.NewQueue(client, "jobs").Enqueue("for the queue jobs"))
	must(recipe.NewQueue(client, "job").Enqueue("for the queue job"))
	took := func(value string) {
		got, err := recipe.NewQueue(client, "job").Dequeue()
		must(err)
		fmt.Println("Dequeue from the queue job:", got)
		if got != value {
			panic("expected: " + value)
		}
	}
	took("first")
	fmt.Println(<-next, "leads")
	select {
	case <-first.Done():
		panic("the first one's session is over")
	case <-time.After(12 * time.Second):
		ttl, err := client.TimeToLive(context.Background(), first.Lease())
		must(err)
		fmt.Println("12 s later the first one's session goes on; its lease is alive:", ttl.TTL > 0)
		if ttl.TTL <= 0 {
			panic("the first one's lease is over")
		}
	}
	took("second")
	took("for the queue jobs")
}
GO
printf 'module finding\ngo 1.26.0\nrequire go.etcd.io/etcd/client/v3 v3.7.3\n' >go.mod
go mod tidy 2>/dev/null
go list -m go.etcd.io/etcd/client/v3
go run . "$client" 2>client.log || { tail client.log; exit 1; }
echo "as found: who works on one queue has taken another's work, and the keys of two leaders"
