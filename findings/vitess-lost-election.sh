#!/bin/bash
# Vitess v0.24.4, package topo with its etcd2 implementation, on etcd v3.7.3: two candidates by NewLeaderParticipation; the
# leader's lease ends.
# Guess: what the interface says: "we may lose primaryship. In that case, the returned context will be canceled."
# Behaviour: the context is cancelled by Stop alone. Nobody looks whether the lease is kept alive; the leader works on
#   beside the next one, for as long as it lives.
source "$(dirname "$0")/etcd.bash"
mkdir election && pushd election >/dev/null
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"vitess.io/vitess/go/vt/topo"
	_ "vitess.io/vitess/go/vt/topo/etcd2topo"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func stand(id string) context.Context {
	server := must(topo.OpenServer("etcd2", os.Args[1], "/vitess"))
	cell := must(server.ConnForCell(context.Background(), topo.GlobalCell))
	leads := must(must(cell.NewLeaderParticipation("job", id)).WaitForLeadership())
	fmt.Println(id, "leads")
	return leads
}

func main() {
	client := must(clientv3.New(clientv3.Config{Endpoints: os.Args[1:]}))
	first := stand("first")
	keys := must(client.Get(context.Background(), "/vitess/", clientv3.WithPrefix())).Kvs
	must(client.Revoke(context.Background(), clientv3.LeaseID(keys[0].Lease)))
	fmt.Println("its lease is over")
	second := stand("second")
	time.Sleep(60 * time.Second) // twice the TTL
	fmt.Printf("60 s later, their contexts: first %v, second %v\n", first.Err(), second.Err())
	if len(keys) != 1 || first.Err() != nil || second.Err() != nil {
		panic("changed")
	}
}
GO
printf 'module finding\ngo 1.26.0\nrequire vitess.io/vitess v0.24.4\n' >go.mod
go mod tidy 2>/dev/null
go list -m vitess.io/vitess
go build && popd >/dev/null
timeout 120 ./election/finding "$client" 2>client.log || { cat client.log; exit 1; }
echo "as found: two leaders"
