#!/bin/bash
# nginx 1.22.1 (Debian 12's package, unpacked) with `grpc_pass` before etcd v3.7.3, as it comes but for that: a stream of
# keep-alives, each answered at once.
# Guess: limits on a request's size are about messages, and a stream that goes on in both directions lasts.
# Behaviour: all that a stream ever carries is one request's body. When its keep-alives, of some fifteen bytes, come to
#   client_max_body_size, 1 MiB, nginx resets it, between two that are well. At one each 1.67 s, as for a TTL of 5 s, that
#   is after 32 hours; here they are sent without a pause. A new stream is well again.
source "$(dirname "$0")/etcd.bash"
apt-get download --quiet nginx=1.22.1-9+deb12u11 >/dev/null
dpkg-deb -x nginx_*.deb package
port=$(python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
cat >nginx.conf <<NGINX
daemon off;
pid pid;
events {}
http {
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  server {
    listen 127.0.0.1:$port http2;
    location / { grpc_pass grpc://$client; }
  }
}
NGINX
package/usr/sbin/nginx -v
package/usr/sbin/nginx -p "$work" -c "$work/nginx.conf" -e "$work/error.log" &
mkdir keeper && pushd keeper >/dev/null
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	ctx := context.Background()
	client := must(clientv3.New(clientv3.Config{Endpoints: os.Args[1:]}))
	lease := must(client.Grant(ctx, 60))
	request := &pb.LeaseKeepAliveRequest{ID: int64(lease.ID)}
	for range 2 {
		stream := must(pb.NewLeaseClient(client.ActiveConnection()).LeaseKeepAlive(ctx))
		count, err := 0, error(nil)
		for ; err == nil && count < 200_000; count++ {
			if err = stream.Send(request); err == nil {
				_, err = stream.Recv()
			}
		}
		fmt.Printf("the stream ended after %d keep-alives: %v\n", count-1, err)
		hours := (time.Duration(count) * 5 * time.Second / 3).Hours()
		left := must(client.TimeToLive(ctx, lease.ID)).TTL
		fmt.Printf("at one each 1.67 s, that is after %.0f hours; the lease has %d s left of 60\n", hours, left)
		if err == nil || count < 50_000 || left < 50 {
			panic("changed")
		}
	}
}
GO
printf 'module finding\ngo 1.26.0\nrequire (\n\tgo.etcd.io/etcd/api/v3 v3.7.3\n\tgo.etcd.io/etcd/client/v3 v3.7.3\n)\n' >go.mod
go mod tidy 2>/dev/null
go build && popd >/dev/null
./keeper/finding "127.0.0.1:$port"
grep -o 'client intended to send too large chunked body: [0-9]* bytes' error.log
echo "as found: keep-alives are counted up to the limit of one request"
