#!/bin/bash
# controller-runtime v0.25.2 on kube-apiserver v1.36.3: a manager takes the Lease and finds 30 ConfigMaps, of which one is
# changed ten times a second; a reconciliation takes a quarter of a second.
# Guess: the queue is fair, so in some 15 s the new leader has reconciled all of them, the one that changes in between.
# Behaviour: what the first list brings has a low priority, and a change a higher one, without ageing. The one that changes
#   is taken each time, as it has changed again meanwhile; the others are not reconciled for as long as it does. With
#   UsePriorityQueue false, which is not the default, it is as guessed.
source "$(dirname "$0")/apiserver.bash"
mkdir manager && pushd manager >/dev/null
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/go-logr/logr"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// change writes one ConfigMap ten times a second, as a status or a heartbeat is.
func change(ctx context.Context, api kubernetes.Interface) {
	for count := 0; ctx.Err() == nil; count++ {
		hot, err := api.CoreV1().ConfigMaps("default").Get(ctx, "config-0", meta.GetOptions{})
		must(err)
		hot.Data = map[string]string{"count": strconv.Itoa(count)}
		_, err = api.CoreV1().ConfigMaps("default").Update(ctx, hot, meta.UpdateOptions{})
		must(err)
		time.Sleep(100 * time.Millisecond)
	}
}

func main() {
	ctx, priority := context.Background(), os.Args[2] == "true"
	log.SetLogger(logr.Discard())
	target := &rest.Config{Host: "https://" + os.Args[1], BearerToken: "admin", QPS: -1, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	api := kubernetes.NewForConfigOrDie(target)
	for n := range 30 {
		api.CoreV1().ConfigMaps("default").Create(ctx, &core.ConfigMap{ObjectMeta: meta.ObjectMeta{Name: fmt.Sprint("config-", n)}}, meta.CreateOptions{})
	}
	go change(ctx, api)
	manager, err := ctrl.NewManager(target, ctrl.Options{LeaderElection: true, LeaderElectionID: "lease-" + os.Args[2],
		LeaderElectionNamespace: "default", Metrics: server.Options{BindAddress: "0"}, Controller: config.Controller{UsePriorityQueue: &priority}})
	must(err)
	mutex, counts := sync.Mutex{}, map[string]int{}
	must(ctrl.NewControllerManagedBy(manager).For(&core.ConfigMap{}).Complete(reconcile.Func(func(_ context.Context, request reconcile.Request) (reconcile.Result, error) {
		time.Sleep(250 * time.Millisecond)
		mutex.Lock()
		defer mutex.Unlock()
		counts[request.Name]++
		return reconcile.Result{}, nil
	})))
	go func() { must(manager.Start(ctx)) }()
	<-manager.Elected()
	time.Sleep(60 * time.Second)
	there, err := api.CoreV1().ConfigMaps("").List(ctx, meta.ListOptions{})
	must(err)
	mutex.Lock()
	defer mutex.Unlock()
	fmt.Printf("UsePriorityQueue %v: a minute after the election, reconciled: %d of %d; the one that changes: %d times\n", priority, len(counts), len(there.Items), counts["config-0"])
	if (len(counts) == len(there.Items)) == priority || priority && len(counts) > 3 || counts["config-0"] < 20 {
		panic("otherwise")
	}
}
GO
printf 'module finding\ngo 1.26.0\nrequire sigs.k8s.io/controller-runtime v0.25.2\n' >go.mod
go mod tidy 2>/dev/null
go list -m sigs.k8s.io/controller-runtime
go build -o ../finding . && popd >/dev/null
for priority in false true; do ./finding "$api" "$priority"; done
echo "as found: the new leader came to one of its objects"
