#!/bin/bash
# client-go v0.37.2, leader election: IsLeader and GetLeader of a candidate that has stopped leading.
# Guess: after OnStoppedLeading, when Run has returned, IsLeader is false, and GetLeader does not name the candidate.
# Behaviour: they compare with the Lease as it was last read. A leader that was cut off from the API server says for
#   ever that it leads, beside the next one, whose lead is as old as the Lease.
source "$(dirname "$0")/client_go.bash"
cat >main.go <<'GO'
package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-logr/logr"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

// elector says each second what it believes; returned is closed when Run has returned.
func elector(url, name string) (elector *leaderelection.LeaderElector, returned chan struct{}) {
	api := kubernetes.NewForConfigOrDie(&rest.Config{Host: url, UserAgent: name, QPS: -1,
		ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		LeaseDuration: 6 * time.Second, RenewDeadline: 4 * time.Second, RetryPeriod: time.Second,
		Lock: &resourcelock.LeaseLock{LeaseMeta: meta.ObjectMeta{Name: "lease", Namespace: "default"},
			Client: api.CoordinationV1(), LockConfig: resourcelock.ResourceLockConfig{Identity: name}},
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) { say("%s started", name); <-ctx.Done() },
			OnStoppedLeading: func() { say("%s stopped", name) },
		},
	})
	if err != nil {
		panic(err)
	}
	returned = make(chan struct{})
	go func() { elector.Run(context.Background()); close(returned) }()
	return elector, returned
}

func main() {
	klog.SetLogger(logr.Discard())
	server := httptest.NewServer(http.HandlerFunc(serve))
	a, returned := elector(server.URL, "A")
	until("A leads", a.IsLeader)
	cut.Store(true)
	say("A is cut off from the API server")
	<-returned
	b, _ := elector(server.URL, "B")
	until("B leads", b.IsLeader)
	time.Sleep(10 * time.Second)
	say("A.IsLeader %v, A.GetLeader %q, B.IsLeader %v", a.IsLeader(), a.GetLeader(), b.IsLeader())
	until("both say that they lead", func() bool { return a.IsLeader() && a.GetLeader() == "A" && b.IsLeader() })
}
GO
cat >go.mod <<'GO'
module finding
go 1.26.0
require k8s.io/client-go v0.37.2
GO
go mod tidy 2>/dev/null
echo "client-go $(go list -m -f '{{.Version}}' k8s.io/client-go); LeaseDuration 6 s, RenewDeadline 4 s"
go run .
echo "as found: a candidate whose election is over says that it leads"
