#!/bin/bash
# controller-runtime v0.25.2, a manager with leader election that is told to stop, and drains for ten seconds in a runnable
# that needs no election; meanwhile its requests to the API server hang.
# Guess: "leader election lost" ends Start at once, as it does otherwise, and with it the leader's work.
# Behaviour: while it drains, the loss is only logged. The runnables that need the election are told to stop when the others
#   have: they work on with a live context, beside the next leader, for as long as the drain takes. Start returns nil.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/lease_server.go" "$work"
cd "$work"
cat >main.go <<'EOF'
package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// drain stops ten seconds after it was told to, whoever leads, as a server does that has open requests.
type drain struct{}

func (drain) NeedLeaderElection() bool { return false }
func (drain) Start(ctx context.Context) error {
	<-ctx.Done()
	time.Sleep(10 * time.Second)
	return nil
}

// run has the runnables that are given and one that shows who leads; the manager stops when ctx ends.
func run(ctx context.Context, api *httptest.Server, name string, runnables ...manager.Runnable) {
	config := &rest.Config{Host: api.URL, UserAgent: name, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
	lock := &resourcelock.LeaseLock{LeaseMeta: v1.ObjectMeta{Name: "lease", Namespace: "default"},
		Client: kubernetes.NewForConfigOrDie(config).CoordinationV1(), LockConfig: resourcelock.ResourceLockConfig{Identity: name}}
	duration, deadline, period := 3*time.Second, 2*time.Second, 500*time.Millisecond
	each, err := manager.New(config, manager.Options{LeaderElection: true, LeaderElectionID: "lease",
		LeaderElectionResourceLockInterface: lock, LeaderElectionReleaseOnCancel: true, LeaseDuration: &duration,
		RenewDeadline: &deadline, RetryPeriod: &period, Metrics: server.Options{BindAddress: "0"}})
	if err != nil {
		panic(err)
	}
	note := func(leads bool) {
		mutex.Lock()
		defer mutex.Unlock()
		leading[name] = leads
		say("%s works as the leader: %v", name, leads)
	}
	work := func(ctx context.Context) error { note(ctx.Err() == nil); <-ctx.Done(); note(false); return nil }
	for _, runnable := range append(runnables, manager.RunnableFunc(work)) {
		each.Add(runnable)
	}
	go func() { say("%s has stopped: %v", name, each.Start(ctx)) }()
}

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
go build -o finding . && ./finding
echo "as found: it worked as the leader for four seconds after the next one had begun"
