#!/bin/bash
# etcd v3.7.3, three members, and its Go client's Election. The candidates have the addresses of all three and keep-alive
# pings; then one member is cut off from the other two, which go on. The leaders resign.
# Guess: who knows all three members is told by the two that work; a member without a leader ends its clients' watches.
# Behaviour: a candidate whose watch happens to be at the third member hears nothing, and no error, for as long as the
#   member is cut off. Its lease is kept alive through the others, and etcd names it as the leader: nobody works.
source "$(dirname "$0")/etcd_three.bash"
mkdir election && pushd election >/dev/null
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

const count = 24 // elections, each with a leader and a candidate that waits

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func stand(endpoints []string, name int) (*concurrency.Election, *concurrency.Session) {
	client := must(clientv3.New(clientv3.Config{Endpoints: endpoints, DialKeepAliveTime: 2e9, DialKeepAliveTimeout: 2e9}))
	session := must(concurrency.NewSession(client, concurrency.WithTTL(10)))
	return concurrency.NewElection(session, fmt.Sprint("election", name)), session
}

func main() {
	ctx, members := context.Background(), strings.Split(os.Args[1], ",")
	var leaders [count]*concurrency.Election
	var sessions [count]*concurrency.Session
	var told [count]chan error
	for i := range count {
		leaders[i], _ = stand(members[:2], i)
		must(0, leaders[i].Campaign(ctx, "first"))
		var next *concurrency.Election
		next, sessions[i] = stand(members, i)
		told[i] = make(chan error, 1)
		go func() { told[i] <- next.Campaign(ctx, "second") }()
	}
	time.Sleep(2 * time.Second)
	fmt.Println("all stand")
	fmt.Scanln() // the third member is cut off
	for _, leader := range leaders {
		must(0, leader.Resign(ctx))
	}
	time.Sleep(30 * time.Second)
	lead, waiting := 0, 0
	for i := range count {
		select {
		case err := <-told[i]:
			must(0, err)
			lead++
		case <-sessions[i].Done():
			panic("a session is over")
		default:
			if string(must(leaders[i].Leader(ctx)).Kvs[0].Value) == "second" {
				waiting++
			}
		}
	}
	fmt.Printf("30 s after the leaders of %d elections have resigned, the next ones know that they lead in %d;\n"+
		"etcd names the next one, its lease lives, and it has not been told, in %d\n", count, lead, waiting)
	if lead == 0 || waiting == 0 || lead+waiting != count {
		panic("changed")
	}
}
GO
printf 'module finding\ngo 1.26.0\nrequire go.etcd.io/etcd/client/v3 v3.7.3\n' >go.mod
go mod tidy 2>/dev/null && go build && popd >/dev/null
mkfifo step; exec 3<>step
./election/finding "$client" <step >told 2>client.log &
election=$!
until grep -q "all stand" told; do kill -0 $election 2>/dev/null || { cat told client.log; exit 1; }; sleep 0.2; done
isolate
echo >&3
wait $election || { cat told client.log; exit 1; }
sed 1d told
echo "as found: elections without a leader, though two members of three work and every candidate has their addresses"
