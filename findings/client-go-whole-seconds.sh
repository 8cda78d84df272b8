#!/bin/bash
# client-go v0.37.2, leader election with a LeaseDuration that is no whole number of seconds.
# Guess: LeaseDuration 2.9 s is honoured, or refused, since NewLeaderElector checks that it exceeds RenewDeadline.
# Behaviour: the check is on 2.9 s, but the Lease says 2 s, and other candidates go by the Lease. With RenewDeadline
#   2.8 s, which the check accepts, a candidate takes over about 0.8 s before a leader without API server stops.
source "$(dirname "$0")/client_go.bash"
cat >main.go <<'EOF'
package main

import (
	"net/http"
	"net/http/httptest"

	coordination "k8s.io/api/coordination/v1"
	"k8s.io/client-go/tools/leaderelection"
)

func main() {
	both := false
	seconds := int32(0)
	onWrite = func(lease *coordination.Lease) { seconds = *lease.Spec.LeaseDurationSeconds }
	changed := func() { both = both || leading["A"] && leading["B"] }
	server := httptest.NewServer(http.HandlerFunc(serve))
	timing := leaderelection.LeaderElectionConfig{LeaseDuration: 2.9e9, RenewDeadline: 2.8e9, RetryPeriod: 1e8}
	candidate(server, "A", timing, changed)
	until("A leads", func() bool { return leading["A"] })
	candidate(server, "B", timing, changed)
	until("2 in the Lease", func() bool { return seconds == 2 })
	say("the Lease says %d s", seconds)
	cut.Store(true)
	say("A's requests hang")
	until("A and B lead at once", func() bool { return both })
	until("A stops", func() bool { return !leading["A"] })
}
EOF
cat >go.mod <<'EOF'
module finding
go 1.26.0
require k8s.io/client-go v0.37.2
EOF
go mod tidy 2>/dev/null
echo "client-go $(go list -m -f '{{.Version}}' k8s.io/client-go); LeaseDuration 2.9 s, RenewDeadline 2.8 s"
go run .
echo "as found: the Lease says 2 s, and B led before A had stopped"
