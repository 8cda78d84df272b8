#!/bin/bash
# controller-runtime v0.25.2, managers with leader election: a standby that is told to stop, and drains for ten seconds
# in a runnable that needs no election, while the leader stops and releases the Lease.
# Guess: a manager whose context has ended stands for election no more; a standby leaves at once.
# Behaviour: it stands until its drain is over. It takes the Lease, starts the runnables that need the election, with a
#   live context, and renews; a manager that is not stopping waits beside it.
source "$(dirname "$0")/client_go.bash"
cp "$here/manager.go" .
cat >main.go <<'EOF'
package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

func main() {
	log.SetLogger(logr.Discard())
	api := httptest.NewServer(http.HandlerFunc(serve))
	ctx, stop := context.WithCancel(context.Background())
	run(ctx, api, "old leader")
	until("old leader", func() bool { return leading["old leader"] })
	run(ctx, api, "old standby", drain{})
	time.Sleep(3 * time.Second)
	say("both are told to stop")
	stop()
	until("the stopping standby leads", func() bool { return leading["old standby"] })
	run(context.Background(), api, "new standby")
	told := time.Now()
	until("the new standby leads", func() bool { return leading["new standby"] })
	if time.Since(told) < 5*time.Second {
		panic("the new standby did not have to wait")
	}
}
EOF
printf 'module finding\ngo 1.26.0\nrequire sigs.k8s.io/controller-runtime v0.25.2\n' >go.mod
go mod tidy 2>/dev/null
go list -m sigs.k8s.io/controller-runtime
go run .
echo "as found: a standby was elected after it had been told to stop"
