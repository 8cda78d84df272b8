#!/bin/bash
# client-go v0.37.2, leader election with a RetryPeriod that is not small beside RenewDeadline.
# Guess: the timing is checked (LeaseDuration > RenewDeadline > 1.2 * RetryPeriod), so what passes is safe: the leader stops
#   RenewDeadline after its last renewal at the latest, before its Lease ends.
# Behaviour: RenewDeadline starts anew with each try, a RetryPeriod after the last renewal. Without an API server the
#   leader leads for RetryPeriod + RenewDeadline, and no check holds that sum below LeaseDuration: two lead.
source "$(dirname "$0")/client_go.bash"
cat >main.go <<'EOF'
package main

import (
	"net/http"
	"net/http/httptest"
	"time"

	coordination "k8s.io/api/coordination/v1"
	"k8s.io/client-go/tools/leaderelection"
)

func main() {
	var renewed, both, ended time.Time
	writes := 0
	onWrite = func(lease *coordination.Lease) {
		if *lease.Spec.HolderIdentity == "A" {
			renewed, writes = time.Now(), writes+1
			say("A has written the Lease")
		}
	}
	changed := func() {
		if leading["A"] && leading["B"] {
			both = time.Now()
		} else if !leading["A"] && !both.IsZero() {
			ended = time.Now()
		}
	}
	server := httptest.NewServer(http.HandlerFunc(serve))
	timing := leaderelection.LeaderElectionConfig{LeaseDuration: 12e9, RenewDeadline: 11e9, RetryPeriod: 8e9}
	candidate(server, "A", timing, changed)
	until("A leads", func() bool { return leading["A"] })
	timing.RetryPeriod = 1e9
	candidate(server, "B", timing, changed)
	until("A renews", func() bool { return writes == 2 })
	cut.Store(true)
	say("A's requests hang")
	until("A leads beside B", func() bool { return !both.IsZero() })
	until("A stops", func() bool { return !ended.IsZero() })
	say("A stopped %.1f s after its last renewal, and led beside B for %.1f s", ended.Sub(renewed).Seconds(),
		ended.Sub(both).Seconds())
	if ended.Sub(renewed) < 17*time.Second {
		panic("A stopped in time")
	}
}
EOF
cat >go.mod <<'EOF'
module finding
go 1.26.0
require k8s.io/client-go v0.37.2
EOF
go mod tidy 2>/dev/null
echo "client-go $(go list -m -f '{{.Version}}' k8s.io/client-go); LeaseDuration 12 s, RenewDeadline 11 s, RetryPeriod 8 s"
go run .
echo "as found: A led for RetryPeriod + RenewDeadline"
