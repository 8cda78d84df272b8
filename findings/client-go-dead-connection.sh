#!/bin/bash
# client-go v0.37.2, leader election with LeaseDuration 15 s, RenewDeadline 10 s, RetryPeriod 2 s and a request's Timeout of
# 2 s, over TLS and so over HTTP/2, as to a kube-apiserver. The leader's connection falls silent, as when a load balancer
# forgets it; new connections work, and another candidate's.
# Guess: a try that has timed out is followed by another, over a new connection; the leader leads on.
# Behaviour: each try goes over the same connection. The transport looks whether it still lives when it has read nothing
#   for 30 s, and waits 15 s for an answer: that is after RenewDeadline, and after LeaseDuration. The leader is lost.
source "$(dirname "$0")/client_go.bash"
cp "$here/connection.go" .
cat >main.go <<'EOF'
package main

import (
	"io"
	"net"
	"sync/atomic"
	"time"
)

var connections atomic.Int32 // of A; if cut is set, the first one is silent

type link struct {
	net.Conn
	number int32
}

func (l link) Write(data []byte) (int, error) {
	if l.number == 1 && cut.Load() {
		return len(data), nil
	}
	return l.Conn.Write(data)
}

func relay(listener net.Listener, to string) {
	for {
		in, _ := listener.Accept()
		out, _ := net.Dial("tcp", to)
		number := connections.Add(1)
		go io.Copy(link{in, number}, out)
		go io.Copy(link{out, number}, in)
	}
}

func main() {
	server := listen(serve)
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	go relay(listener, server)
	stand("A", listener.Addr().String())
	until("A leads", func() bool { return leading["A"] })
	stand("B", server)
	time.Sleep(5 * time.Second)
	cut.Store(true)
	say("A's connection is silent")
	until("A stops", func() bool { return !leading["A"] })
	until("B leads", func() bool { return leading["B"] && connections.Load() == 1 })
	say("connections that A has opened: 1")
}
EOF
printf 'module finding\ngo 1.26.0\nrequire k8s.io/client-go v0.37.2\n' >go.mod
go mod tidy 2>/dev/null && go list -m k8s.io/client-go
go run . 2>client.log || { cat client.log; exit 1; }
echo "as found: a leader was lost for one connection, beside an API server that answers"
