#!/bin/bash
# client-go v0.37.2, leader election: the Lease passes to another candidate and is given back within RenewDeadline.
# Guess: a leader that reads another name in the Lease stops leading at once.
# Behaviour: it goes on trying, its context alive, until RenewDeadline. If the other gives the Lease up before that, the
#   leader takes it again and never learns that it had lost it: two lead, and what the leader remembers is old.
source "$(dirname "$0")/client_go.bash"
cat >main.go <<'EOF'
package main

import (
	"net/http"
	"net/http/httptest"
	"time"

	"k8s.io/client-go/tools/leaderelection"
)

// hand writes a holder into the Lease, as an administrator or another client would.
func hand(holder string) {
	mutex.Lock()
	defer mutex.Unlock()
	other := stored.DeepCopy()
	other.Spec.HolderIdentity = &holder
	other.ResourceVersion += "0"
	stored = other
	say("the Lease names %q", holder)
}

func holder() string { return *stored.Spec.HolderIdentity }

func main() {
	changes := 0
	server := httptest.NewServer(http.HandlerFunc(serve))
	candidate(server, "A", leaderelection.LeaderElectionConfig{LeaseDuration: 15e9, RenewDeadline: 10e9,
		RetryPeriod: 1e9}, func() { changes++ })
	until("A leads", func() bool { return leading["A"] })
	hand("B")
	time.Sleep(5 * time.Second)
	until("A leads though the Lease names B", func() bool { return leading["A"] && holder() == "B" })
	say("A, having read that several times, still leads")
	hand("")
	until("A takes the Lease again", func() bool { return holder() == "A" })
	say("the Lease names \"A\"; leaseTransitions %d", *stored.Spec.LeaseTransitions)
	time.Sleep(3 * time.Second)
	until("A was told nothing", func() bool { return leading["A"] && changes == 1 })
}
EOF
cat >go.mod <<'EOF'
module finding
go 1.26.0
require k8s.io/client-go v0.37.2
EOF
go mod tidy 2>/dev/null
echo "client-go $(go list -m -f '{{.Version}}' k8s.io/client-go); RenewDeadline 10 s, RetryPeriod 1 s"
go run .
echo "as found: A led while the Lease named B, and was never told"
