#!/bin/bash
# etcd's Go client v3.7.3, `concurrency.ResumeElection`, by which a leader that has been started again has its election
# back.
# Guess: with the name that NewElection was given, it is the same election.
# Behaviour: NewElection adds a slash to the name, ResumeElection does not. Once the resumed one has resigned and stands
#   again, its key is outside the election, where no other candidate sees it; both lead. Meanwhile its Leader() names
#   the leader of any election whose name only begins alike.
source "$(dirname "$0")/etcd.bash"
mkdir resume && pushd resume >/dev/null
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

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client := must(clientv3.New(clientv3.Config{Endpoints: os.Args[1:]}))
	stand := func(name, value string) (*concurrency.Election, *concurrency.Session) {
		session := must(concurrency.NewSession(client))
		election := concurrency.NewElection(session, name)
		must(0, election.Campaign(ctx, value))
		return election, session
	}
	stand("job-cleanup", "another")
	before, session := stand("job", "resumed")
	resumed := concurrency.ResumeElection(session, "job", before.Key(), before.Rev())
	named := string(must(resumed.Leader(ctx)).Kvs[0].Value)
	fmt.Printf("the leader of job, by NewElection: %q; by ResumeElection: %q\n",
		must(before.Leader(ctx)).Kvs[0].Value, named)
	must(0, resumed.Resign(ctx))
	must(client.Delete(ctx, "job-cleanup", clientv3.WithPrefix())) // or it would wait for that one, too
	must(0, resumed.Campaign(ctx, "resumed"))
	fmt.Printf("%q leads again, by the key %s\n", "resumed", resumed.Key())
	next, _ := stand("job", "next")
	fmt.Printf("%q leads, by the key %s\n", "next", next.Key())
	must(0, resumed.Proclaim(ctx, "resumed"))
	must(0, next.Proclaim(ctx, "next"))
	fmt.Println("both may proclaim")
	if named != "another" || resumed.Key() == before.Key() {
		panic("changed")
	}
}
GO
printf 'module finding\ngo 1.26.0\nrequire go.etcd.io/etcd/client/v3 v3.7.3\n' >go.mod
go mod tidy 2>/dev/null
go build && popd >/dev/null
./resume/finding "$client" 2>client.log || { cat client.log; exit 1; }
echo "as found: two leaders of one election"
