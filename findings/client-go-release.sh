#!/bin/bash
# client-go v0.37.2, leader election with ReleaseOnCancel.
# Guess: a leader that lost the API server stops before the Lease can pass on (RenewDeadline < LeaseDuration), and
#   its release empties the Lease only if the Lease still names it.
# Behaviour: the leader's context ends after the release, and the release waits up to another RenewDeadline, so the
#   leader works on after LeaseDuration. If the API server answers in that time, the release reads the successor's
#   Lease but compares its own name with the record it remembers: it empties the successor's Lease. Two others lead
#   at once then, until the successor's RenewDeadline ends.
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
	late, emptied, both := false, false, false
	onWrite = func(lease *coordination.Lease) {
		switch holder := *lease.Spec.HolderIdentity; {
		case holder == "B" && leading["B"] && cut.Swap(false):
			say("B has renewed; A's requests are answered again")
		case holder == "":
			say("the Lease is emptied")
			emptied = leading["B"]
		}
	}
	changed := func() {
		late = late || leading["A"] && leading["B"]
		both = both || leading["B"] && leading["C"]
	}
	server := httptest.NewServer(http.HandlerFunc(serve))
	timing := leaderelection.LeaderElectionConfig{ReleaseOnCancel: true,
		LeaseDuration: 9e9, RenewDeadline: 8e9, RetryPeriod: 1e9}
	candidate(server, "A", timing, changed)
	until("A leads", func() bool { return leading["A"] })
	candidate(server, "B", timing, changed)
	cut.Store(true)
	say("A's requests hang")
	until("A leads beside its successor", func() bool { return late })
	timing.RetryPeriod = 1e8
	candidate(server, "C", timing, changed)
	until("A empties B's Lease", func() bool { return emptied })
	until("B and C lead at once", func() bool { return both })
	until("B stops", func() bool { return !leading["B"] })
}
EOF
cat >go.mod <<'EOF'
module finding
go 1.26.0
require k8s.io/client-go v0.37.2
EOF
go mod tidy 2>/dev/null
echo "client-go $(go list -m -f '{{.Version}}' k8s.io/client-go); LeaseDuration 9 s, RenewDeadline 8 s"
go run .
echo "as found: A led beside B, then emptied B's Lease; B and C led at once"
