#!/bin/bash
# kube-apiserver v1.36.3 with the feature CoordinatedLeaderElection, which is beta, and client-go v0.37.2: the leader steps
# down, with ReleaseOnCancel, and does not stand again; its process goes on, and with it its LeaseCandidate.
# Guess: as without the feature, the next one follows at once, or, if the old leader is named again, when that Lease expires.
# Behaviour: the API server names the old leader again, as the best of the candidates that answer. Nobody renews the Lease;
#   it expires, and is left as it is, because it names the best one. The others wait until that candidate answers no more.
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

var leader atomic.Value

// candidate stands for the lease until stepDown is called; its LeaseCandidate is kept until leave is.
func candidate(api kubernetes.Interface, lease, name string, coordinated bool) (stepDown, leave func()) {
	term, stepDown := context.WithCancel(context.Background())
	standing, leave := context.WithCancel(context.Background())
	go leaderelection.RunOrDie(term, leaderelection.LeaderElectionConfig{
		LeaseDuration: 6 * time.Second, RenewDeadline: 4 * time.Second, RetryPeriod: time.Second,
		Lock: &resourcelock.LeaseLock{LeaseMeta: meta.ObjectMeta{Name: lease, Namespace: "default"},
			Client: api.CoordinationV1(), LockConfig: resourcelock.ResourceLockConfig{Identity: name}},
		Coordinated: coordinated, ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{OnStoppedLeading: func() {},
			OnStartedLeading: func(context.Context) { fmt.Println(name, "leads"); leader.Store(name) }},
	})
	if coordinated {
		known, _, err := leaderelection.NewCandidate(api, "default", name, lease, "1.0.0", "1.0.0", "OldestEmulationVersion")
		must(err)
		go known.Run(standing)
	}
	return stepDown, leave
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func leads(name string) bool {
	for end := time.Now().Add(time.Minute); leader.Load() != name && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
	}
	return leader.Load() == name
}

func main() {
	api := kubernetes.NewForConfigOrDie(&rest.Config{Host: "https://" + os.Args[1], BearerToken: "admin", QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{Insecure: true}})
	for _, coordinated := range []bool{false, true} {
		lease := fmt.Sprintf("coordinated-%v", coordinated)
		stepDown, leave := candidate(api, lease, "a", coordinated)
		found := leads("a")
		time.Sleep(2 * time.Second) // the older candidate is the better one
		candidate(api, lease, "b", coordinated)
		time.Sleep(10 * time.Second)
		stepDown()
		fmt.Println("a has stepped down; coordinated:", coordinated)
		if coordinated {
			found = found && !leads("b")
			now, err := api.CoordinationV1().Leases("default").Get(context.Background(), lease, meta.GetOptions{})
			must(err)
			fmt.Println("the Lease names", *now.Spec.HolderIdentity, "and was renewed", time.Since(now.Spec.RenewTime.Time), "ago; a leaves")
			leave()
		}
		if !found || !leads("b") {
			os.Exit(1)
		}
	}
}
GO
printf 'module finding\ngo 1.26.0\nrequire k8s.io/client-go v0.37.2\n' >go.mod
go run -mod=mod . "$api" 2>log || { tail log; exit 1; }
echo "as found: a Lease that nobody renews, and that nobody else was given"
