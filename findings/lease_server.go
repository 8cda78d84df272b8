// What the findings on client-go share: an API server of one Lease, and candidates that use it over HTTP.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	coordination "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

var (
	start   = time.Now()
	mutex   sync.Mutex          // guards the three variables below
	leading = map[string]bool{} // the candidates whose OnStartedLeading has a live context
	stored  *coordination.Lease
	onWrite = func(*coordination.Lease) {}
	cut     atomic.Bool // whether requests of candidate A hang
)

func say(format string, args ...any) {
	fmt.Printf("%5.1f s  %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
}

func refuse(w http.ResponseWriter, err *errors.StatusError) {
	w.WriteHeader(int(err.ErrStatus.Code))
	json.NewEncoder(w).Encode(err.Status())
}

// serve answers get, create and update of the Lease; an update of an old resourceVersion is a conflict.
func serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	for r.UserAgent() == "A" && cut.Load() && r.Context().Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	mutex.Lock()
	defer mutex.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.Context().Err() != nil {
		return
	}
	if r.Method != http.MethodGet {
		lease, version := &coordination.Lease{}, 0
		json.Unmarshal(body, lease)
		if stored != nil {
			if version, _ = strconv.Atoi(stored.ResourceVersion); lease.ResourceVersion != stored.ResourceVersion {
				refuse(w, errors.NewConflict(coordination.Resource("leases"), lease.Name, nil))
				return
			}
		}
		lease.ResourceVersion = strconv.Itoa(version + 1)
		stored = lease
		onWrite(lease)
	} else if stored == nil {
		refuse(w, errors.NewNotFound(coordination.Resource("leases"), "lease"))
		return
	}
	json.NewEncoder(w).Encode(stored)
}

// candidate runs in the background; changed is told, under the mutex, when it starts and stops leading.
func candidate(server *httptest.Server, name string, timing leaderelection.LeaderElectionConfig, changed func()) {
	klog.SetLogger(logr.Discard())
	api := kubernetes.NewForConfigOrDie(&rest.Config{Host: server.URL, UserAgent: name, QPS: -1,
		ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	note := func(leads bool) {
		mutex.Lock()
		defer mutex.Unlock()
		leading[name] = leads
		say("%s leads: %v", name, leads)
		changed()
	}
	timing.Lock = &resourcelock.LeaseLock{LeaseMeta: meta.ObjectMeta{Name: "lease", Namespace: "default"},
		Client: api.CoordinationV1(), LockConfig: resourcelock.ResourceLockConfig{Identity: name}}
	timing.Callbacks = leaderelection.LeaderCallbacks{
		OnStartedLeading: func(ctx context.Context) { note(true); <-ctx.Done(); note(false) },
		OnStoppedLeading: func() {},
	}
	go leaderelection.RunOrDie(context.Background(), timing)
}

// until waits for what must be seen within a minute.
func until(what string, seen func() bool) {
	for ; time.Since(start) < time.Minute; time.Sleep(10 * time.Millisecond) {
		mutex.Lock()
		yes := seen()
		mutex.Unlock()
		if yes {
			return
		}
	}
	panic("not seen: " + what)
}
