#!/bin/bash
# etcd v3.7.3, three members, of which one is cut off; its health, by gRPC's health protocol, as Kubernetes' `grpc` probes
# and gRPC's own health checking ask it, and by HTTP.
# Guess: one answer by both ways: a member without a leader, which can neither write nor read, is not SERVING.
# Behaviour: by HTTP /health and /readyz are 503; by gRPC it is SERVING. That turns only during a defragmentation, and
#   with a feature gate.
source "$(dirname "$0")/etcd_three.bash"
mkdir health && pushd health >/dev/null
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	answer, err := grpc_health_v1.NewHealthClient(connection).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		panic(err)
	}
	fmt.Println(answer.Status)
}
GO
printf 'module finding\ngo 1.26.0\nrequire google.golang.org/grpc v1.83.2\n' >go.mod
go mod tidy 2>/dev/null
go build && popd >/dev/null
ask() {  # prints what the third member says of itself
  for path in health readyz livez; do
    printf '/%s %s, ' $path "$(curl -s -m 30 -o /dev/null -w '%{http_code}' "http://${members[2]}/$path")"
  done
  ./health/finding "${members[2]}"
}
before=$(ask)
echo "together with the others: $before"
isolate
for _ in 1 2 3; do
  sleep 10
  after=$(ask)
  echo "it: $after"
done
[[ $before == "/health 200, /readyz 200, /livez 200, SERVING" && $after == "/health 503, /readyz 503, "*SERVING ]]
code=0; ./etcdctl --command-timeout 5s --endpoints "${members[2]}" put data "" >/dev/null 2>&1 || code=$?
echo "a put at it: exit code $code"
[[ $code != 0 && $after != *NOT_SERVING ]]
echo "as found: a member that cannot serve is SERVING"
