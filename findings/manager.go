// What the findings on controller-runtime share: a manager, with what needs the election and what needs none.
package main

import (
	"context"
	"net/http/httptest"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
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
