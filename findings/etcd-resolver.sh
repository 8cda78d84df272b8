#!/bin/bash
# etcd's Go client v3.7.3, naming/resolver: a gRPC client finds the leader's address in etcd, which compacts and restarts.
# Guess: when etcd is back, the resolver follows again, or reads anew what it cannot follow.
# Behaviour: its watch takes up from the last change that it saw. If that has been compacted when the connection is lost,
#   the resolver ends in silence. Calls go to the address of that moment for as long as the process lives: to the old
#   leader, and when that is gone, nowhere, though the same client's List names the new one.
source "$(dirname "$0")/etcd.bash"
mkdir naming && cd naming
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/naming/endpoints"
	"go.etcd.io/etcd/client/v3/naming/resolver"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	client := must(clientv3.New(clientv3.Config{Endpoints: os.Args[1:]}))
	manager := must(endpoints.NewManager(client, "service"))
	names := map[string]string{}
	lead := func(name string) *grpc.Server {
		listener, server := must(net.Listen("tcp", "127.0.0.1:0")), grpc.NewServer()
		grpc_health_v1.RegisterHealthServer(server, health.NewServer())
		go server.Serve(listener)
		names[listener.Addr().String()] = name
		endpoint := endpoints.Endpoint{Addr: listener.Addr().String()}
		must(0, manager.AddEndpoint(context.Background(), "service/leader", endpoint))
		time.Sleep(5 * time.Second)
		return server
	}
	lead("first")
	connection := must(grpc.NewClient("etcd:///service", grpc.WithResolvers(must(resolver.NewBuilder(client))),
		grpc.WithTransportCredentials(insecure.NewCredentials())))
	call := func(when string) {
		reached := peer.Peer{Addr: &net.TCPAddr{}}
		_, err := grpc_health_v1.NewHealthClient(connection).Check(context.Background(), nil, grpc.Peer(&reached))
		fmt.Printf("%s: a call reaches %q, %v\n", when, names[reached.Addr.String()], status.Code(err))
	}
	call("first leads")
	second := lead("second")
	call("second leads")
	fmt.Scanln() // etcd compacts, and is started again
	lead("third")
	call("third leads")
	second.Stop()
	time.Sleep(5 * time.Second)
	call("second is gone")
	fmt.Println("List names", names[must(manager.List(context.Background()))["service/leader"].Addr])
}
GO
printf 'module finding\ngo 1.26.0\nrequire (\n\tgo.etcd.io/etcd/client/v3 v3.7.3\n\tgoogle.golang.org/grpc v1.83.2\n)\n' >go.mod
go mod tidy 2>/dev/null
go list -m go.etcd.io/etcd/client/v3 google.golang.org/grpc
go build && cd ..
mkfifo restarted
./naming/finding "$client" <restarted >told 2>client.log &
exec 3>restarted
seen() { for _ in $(seq 300); do grep "$1" told && return; sleep 0.2; done; echo "not seen: $1"; cat told client.log; exit 1; }
seen 'second leads: a call reaches "second", OK'
for value in 1 2 3; do ctl put other $value >/dev/null; done
ctl compact "$(ctl get other -w json | python3 -c 'import json, sys; print(json.load(sys.stdin)["header"]["revision"])')"
kill %1 && wait %1 || true
./etcd --data-dir data --listen-client-urls "http://$client" --advertise-client-urls "http://$client" \
  --listen-peer-urls "http://$peer" --initial-advertise-peer-urls "http://$peer" >>log 2>&1 &
echo >&3
seen 'third leads: a call reaches "second", OK'
seen 'second is gone: a call reaches "", Unavailable'
seen 'List names third'
echo "as found: the client never hears of the third leader"
