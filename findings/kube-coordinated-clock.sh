#!/bin/bash
# kube-apiserver v1.36.3 with the feature CoordinatedLeaderElection, which is beta, and client-go v0.37.2: the leader's clock
# is 10 s behind (its lock plays that by the times it writes) when a candidate of an older version, thus preferred, comes.
# Guess: clocks do not matter, as client-go's package says; the leader's term ends first, and then the next one leads.
# Behaviour: the API server compares renewTime with its own clock. It holds the renewed Lease for expired, gives it away at
#   once, and the new leader starts while the old one still tries, until its RenewDeadline.
flags=(--feature-gates=CoordinatedLeaderElection=true --runtime-config=coordination.k8s.io/v1beta1=true)
source "$(dirname "$0")/apiserver.bash"
mkdir client && cd client
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

var leaders, most atomic.Int32

// late is a lock whose times are those of a clock that is behind.
type late struct {
	resourcelock.Interface
	by time.Duration
}

func (l late) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	record.RenewTime = meta.NewTime(record.RenewTime.Add(-l.by))
	return l.Interface.Update(ctx, record)
}

func candidate(api kubernetes.Interface, lease, name, version string, behind time.Duration) {
	lock := &resourcelock.LeaseLock{LeaseMeta: meta.ObjectMeta{Name: lease, Namespace: "default"},
		Client: api.CoordinationV1(), LockConfig: resourcelock.ResourceLockConfig{Identity: name}}
	go leaderelection.RunOrDie(context.Background(), leaderelection.LeaderElectionConfig{
		LeaseDuration: 6 * time.Second, RenewDeadline: 4 * time.Second, RetryPeriod: time.Second,
		Lock: late{lock, behind}, Coordinated: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { count(1, name+" leads") },
			OnStoppedLeading: func() { count(-1, name+" stopped") }},
	})
	known, _, err := leaderelection.NewCandidate(api, "default", name, lease, version, version, "OldestEmulationVersion")
	if err != nil {
		panic(err)
	}
	go known.Run(context.Background())
}

func count(change int32, words string) {
	now := leaders.Add(change)
	most.Store(max(most.Load(), now))
	fmt.Println(time.Now().Format("05.0"), words, "- leaders:", now)
}

func main() {
	api := kubernetes.NewForConfigOrDie(&rest.Config{Host: "https://" + os.Args[1], BearerToken: "admin", QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{Insecure: true}})
	for round, behind := range []time.Duration{0, 10 * time.Second} {
		fmt.Println("the leader's clock is behind by", behind)
		leaders.Store(0)
		lease := fmt.Sprintf("round-%d", round)
		candidate(api, lease, lease+"-a", "1.2.0", behind)
		time.Sleep(15 * time.Second)
		fmt.Println(time.Now().Format("05.0"), "b stands")
		candidate(api, lease, lease+"-b", "1.1.0", 0)
		time.Sleep(25 * time.Second)
		if most.Load() != int32(round+1) {
			os.Exit(1)
		}
	}
}
GO
printf 'module finding\ngo 1.26.0\nrequire k8s.io/client-go v0.37.2\n' >go.mod
go run -mod=mod . "$api" 2>log || { tail log; exit 1; }
echo "as found: two leaders, as one of the clocks is behind"
