// What the findings on client-go's connections share: an API server and candidates that speak TLS, and so HTTP/2, as a
// kube-apiserver and its clients do.
package main

import (
	"context"
	"net/http"
	"net/http/httptest"

	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// listen returns the address of a server of its own.
func listen(handler http.HandlerFunc) string {
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	return server.Listener.Addr().String()
}

// stand runs a candidate in the background; leading says whether it leads.
func stand(name, address string) {
	api := kubernetes.NewForConfigOrDie(&rest.Config{Host: "https://" + address, Timeout: 2e9,
		TLSClientConfig: rest.TLSClientConfig{Insecure: true}, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	note := func(leads bool) {
		mutex.Lock()
		defer mutex.Unlock()
		leading[name] = leads
		say("%s leads: %v", name, leads)
	}
	lock := &resourcelock.LeaseLock{LeaseMeta: v1.ObjectMeta{Name: "lease", Namespace: "default"},
		Client: api.CoordinationV1(), LockConfig: resourcelock.ResourceLockConfig{Identity: name}}
	go leaderelection.RunOrDie(context.Background(), leaderelection.LeaderElectionConfig{
		Lock: lock, LeaseDuration: 15e9, RenewDeadline: 10e9, RetryPeriod: 2e9,
		Callbacks: leaderelection.LeaderCallbacks{OnStoppedLeading: func() { note(false) },
			OnStartedLeading: func(context.Context) { note(true) }}})
}
