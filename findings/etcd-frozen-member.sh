#!/bin/bash
# etcd v3.7.3, three members, and sessions of its Go client that have the addresses of all three; one member is frozen, as by
# a hung disk or a node that vanishes without a word.
# Guess: two members of three are enough, and the client knows them all: after a failed try, keep-alives go to another.
# Behaviour: a session whose keep-alives happen to go to that member waits for its answer until the lease is over, and is
#   told "done"; nobody tries another member. The client has keep-alive pings, but they are off unless DialKeepAliveTime
#   is set. With them, no session is lost.
source "$(dirname "$0")/etcd_three.bash"
mkdir session && pushd session >/dev/null
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

const count = 24 // sessions of each kind

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func open(ping time.Duration) (sessions [count]*concurrency.Session) {
	for i := range count {
		client := must(clientv3.New(clientv3.Config{Endpoints: strings.Split(os.Args[1], ","),
			DialKeepAliveTime: ping, DialKeepAliveTimeout: ping}))
		sessions[i] = must(concurrency.NewSession(client, concurrency.WithTTL(20)))
	}
	return sessions
}

func over(sessions [count]*concurrency.Session) (number int) {
	for _, session := range sessions {
		select {
		case <-session.Done():
			number++
		default:
		}
	}
	return number
}

func main() {
	plain, pinging := open(0), open(3*time.Second)
	time.Sleep(10 * time.Second)
	if over(plain)+over(pinging) > 0 {
		panic("a session is over too soon")
	}
	fmt.Println("all sessions are open")
	fmt.Scanln() // the third member is frozen
	time.Sleep(40 * time.Second)
	working := must(clientv3.New(clientv3.Config{Endpoints: strings.Split(os.Args[1], ",")[:2]}))
	must(working.Put(context.Background(), "data", ""))
	lost, lostPinging := over(plain), over(pinging)
	fmt.Printf("40 s later the other two work, and of %d sessions as they come %d are over\n", count, lost)
	fmt.Printf("of %d sessions with keep-alive pings each 3 s: %d\n", count, lostPinging)
	if lost == 0 || lost == count || lostPinging != 0 {
		panic("changed")
	}
}
GO
printf 'module finding\ngo 1.26.0\nrequire go.etcd.io/etcd/client/v3 v3.7.3\n' >go.mod
go mod tidy 2>/dev/null
go build && popd >/dev/null
mkfifo step
exec 3<>step
./session/finding "$client" <step >told 2>client.log &
session=$!
until grep -q "all sessions" told; do kill -0 $session 2>/dev/null || { cat told client.log; exit 1; }; sleep 0.2; done
kill -STOP "${pids[2]}"
echo "the third member is frozen"
echo >&3
code=0; wait $session || code=$?
kill -CONT "${pids[2]}"
sed 1d told
[[ $code == 0 ]] || { cat client.log; exit 1; }
echo "as found: leases are lost though two members of three work"
