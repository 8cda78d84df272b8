#!/bin/bash
# etcd's Go client v3.7.3, package recipes: Barrier.Wait while etcd v3.7.3 compacts and is started again.
# Guess: Wait returns when the barrier is released; if it cannot go on waiting, it returns an error.
# Behaviour: the watch behind it takes up from the revision at which it began. If that has been compacted when the
#   connection is lost, the watch ends, and Wait returns nil, with the barrier in place. DoubleBarrier.Enter does the
#   same: it lets in the one who is alone.
source "$(dirname "$0")/etcd.bash"
mkdir barrier && cd barrier
cat >main.go <<'GO'
package main

import (
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

func main() {
	client, err := clientv3.New(clientv3.Config{Endpoints: os.Args[1:]})
	must(err)
	session, err := concurrency.NewSession(client)
	must(err)
	must(recipe.NewBarrier(client, "barrier").Hold())
	ended := make(chan string)
	go func() { ended <- fmt.Sprintln("Barrier.Wait returned", recipe.NewBarrier(client, "barrier").Wait()) }()
	go func() {
		ended <- fmt.Sprintln("DoubleBarrier.Enter of 2 returned", recipe.NewDoubleBarrier(session, "double", 2).Enter())
	}()
	select {
	case what := <-ended:
		panic("too early: " + what)
	case <-time.After(3 * time.Second):
		fmt.Println("both wait")
	}
	for range 2 {
		fmt.Print(<-ended)
	}
}
GO
cat >go.mod <<'GO'
module finding
go 1.26.0
require go.etcd.io/etcd/client/v3 v3.7.3
GO
go mod tidy 2>/dev/null
go list -m go.etcd.io/etcd/client/v3
go build -o finding . && cd ..
./barrier/finding "$client" >told 2>client.log &
seen() { for _ in $(seq 300); do grep -q "$1" told && return; sleep 0.2; done; echo "not seen: $1"; cat told client.log; exit 1; }
seen 'both wait'
for value in 1 2 3; do ctl put other $value >/dev/null; done
revision=$(ctl get other -w json | python3 -c 'import json, sys; print(json.load(sys.stdin)["header"]["revision"])')
ctl compact "$revision"
kill %1 && wait %1 || true
./etcd --data-dir data --listen-client-urls "http://$client" --advertise-client-urls "http://$client" \
  --listen-peer-urls "http://$peer" --initial-advertise-peer-urls "http://$peer" \
  --initial-cluster "default=http://$peer" >>log 2>&1 &
seen 'Barrier.Wait returned <nil>'
seen 'Enter of 2 returned <nil>'
cat told
echo "the barrier's key, and who has entered:" $(ctl get --prefix --keys-only barrier) $(ctl get --prefix --keys-only double)
[[ $(ctl get --prefix --keys-only barrier | grep -c .) == 1 && $(ctl get --prefix --keys-only double | grep -c .) == 1 ]]
echo "as found: nobody had released the one barrier, nor come to the other"
