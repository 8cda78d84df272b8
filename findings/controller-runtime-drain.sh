#!/bin/bash
# controller-runtime v0.25.2, a manager with leader election that is told to stop, and drains for ten seconds in a runnable
# that needs no election; meanwhile its requests to the API server hang.
# Guess: "leader election lost" ends Start at once, as it does otherwise, and with it the leader's work.
# Behaviour: while it drains, the loss is only logged. The runnables that need the election are told to stop when the others
#   have: they work on with a live context, beside the next leader, for as long as the drain takes. Start returns nil.
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
	run(ctx, api, "A", drain{})
	until("A leads", func() bool { return leading["A"] })
	run(context.Background(), api, "B")
	time.Sleep(3 * time.Second)
	say("A is told to stop, and its requests hang")
	stop()
	cut.Store(true)
	until("B leads", func() bool { return leading["B"] })
	time.Sleep(4 * time.Second)
	until("both work", func() bool { return leading["A"] && leading["B"] })
	until("A stops", func() bool { return !leading["A"] })
	time.Sleep(time.Second)
}
EOF
printf 'module finding\ngo 1.26.0\nrequire sigs.k8s.io/controller-runtime v0.25.2\n' >go.mod
go mod tidy 2>/dev/null
go list -m sigs.k8s.io/controller-runtime
go run .
echo "as found: it worked as the leader for four seconds after the next one had begun"
