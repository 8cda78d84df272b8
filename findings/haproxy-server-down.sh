#!/bin/bash
# haproxy 2.6.12 (Debian 12's package, unpacked) before two API servers, in mode tcp with a check of /readyz, as guides on
# highly available control planes have it; client-go v0.37.2, leader election with 15 s, 10 s and 2 s, and 2 s a request.
# One API server, which has lost its etcd, is not ready and refuses all.
# Guess: once haproxy has marked it down, the leader's next try goes to the other one.
# Behaviour: a server that is down gets no new connections, and keeps those that it has, unless `on-marked-down
#   shutdown-sessions` is set. client-go has one, which works, so it makes no other: each try is refused, for ever.
source "$(dirname "$0")/client_go.bash"
cp "$here/connection.go" .
apt-get download --quiet haproxy=2.6.12-1+deb12u4 liblua5.3-0=5.3.6-2 libopentracing-c-wrapper0=1.1.3-3+b1 \
  libopentracing1=1.6.0-4 >/dev/null 2>&1
for package in *.deb; do dpkg-deb -x "$package" package; done
cat >main.go <<'EOF'
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync/atomic"
	"time"
)

const config = `defaults
  mode tcp
  timeout connect 5s
  timeout client 35s
  timeout server 35s
listen api
  bind %s
  option httpchk GET /readyz
  default-server check check-ssl verify none inter 1s fall 2 rise 2 %s
  server first %s
  server second %s
`

var asked, broken atomic.Int32 // the API server that was asked last, and that which is not ready

func api(number int32) string {
	return listen(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() == number {
			w.WriteHeader(http.StatusInternalServerError)
		} else if r.URL.Path != "/readyz" {
			asked.Store(number)
			serve(w, r)
		}
	})
}

func main() {
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	listener.Close()
	text := fmt.Appendf(nil, config, listener.Addr(), os.Args[1], api(1), api(2))
	os.WriteFile("config", text, 0o600)
	proxy := exec.Command("package/usr/sbin/haproxy", "-db", "-f", "config")
	proxy.Stderr, _ = os.Create("haproxy.log")
	proxy.Start()
	defer proxy.Process.Kill()
	stand("A", listener.Addr().String())
	until("A has renewed", func() bool { return stored != nil && stored.ResourceVersion == "3" })
	broken.Store(asked.Load())
	time.Sleep(20 * time.Second)
	until("as found", func() bool { return leading["A"] == (os.Args[1] != "") })
	say("20 s after its API server was not ready any more, A leads: %v", leading["A"])
}
EOF
printf 'module finding\ngo 1.26.0\nrequire k8s.io/client-go v0.37.2\n' >go.mod
go mod tidy 2>/dev/null && go list -m k8s.io/client-go
export LD_LIBRARY_PATH=package/usr/lib/x86_64-linux-gnu
package/usr/sbin/haproxy -v | sed -n 1p
for option in "" "on-marked-down shutdown-sessions"; do
  echo "with the option: ${option:-none}"
  go run . "$option" 2>client.log || { cat client.log; exit 1; }
  grep -o "Server api/.* is DOWN[^.]*" haproxy.log
done
echo "as found: the leader is lost on a server that is down, beside one that is up"
