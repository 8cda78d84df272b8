# Sourced by the scripts: besides what etcd.bash does, builds kube-apiserver in the folder kube and starts it on that etcd;
# it is v1.36.3 unless a script sets `kubernetes`. Into the current folder it writes kube.py, whose kube(METHOD, PATH, BODY)
# asks it, with a token for its administrator. `$api` is its address; the array `flags` is what a script wants it started
# with besides. `kubeconfig HOST:PORT` prints a kubeconfig with the same token for a server there.
source "$(dirname "$0")/etcd.bash"
kubernetes=${kubernetes:-v1.36.3}
mkdir kube && pushd kube >/dev/null
printf 'module finding\ngo 1.26.0\nrequire k8s.io/kubernetes %s\n' "$kubernetes" >go.mod
mod=$(go mod download -json "k8s.io/kubernetes@$kubernetes" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
sed -n "s#^\s*\(k8s.io/[a-z-]*\) v0\.0\.0\$#replace \1 => \1 v0${kubernetes#v1}#p" "$mod" >>go.mod
CGO_ENABLED=0 go build -mod=mod -trimpath -gcflags=all=-dwarf=false \
  -ldflags="-s -w -X=k8s.io/component-base/version.gitVersion=$kubernetes" -o .. k8s.io/kubernetes/cmd/kube-apiserver 2>build.log || { tail build.log; exit 1; }
go run "$(go env GOROOT)/src/crypto/tls/generate_cert.go" --host 127.0.0.1 2>/dev/null
popd >/dev/null
./kube-apiserver --version
printf 'admin,admin,admin,system:masters\ncandidate,candidate,candidate\n' >tokens.csv
api=$(python3 -c 'import socket; print("127.0.0.1:%d" % socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
./kube-apiserver --etcd-servers="http://$client" --bind-address=127.0.0.1 --secure-port="${api#*:}" \
  --advertise-address=192.0.2.1 --tls-cert-file=kube/cert.pem --tls-private-key-file=kube/key.pem \
  --token-auth-file=tokens.csv --authorization-mode=RBAC --service-cluster-ip-range=10.96.0.0/16 \
  --service-account-issuer=https://kubernetes.default.svc --service-account-key-file=kube/cert.pem \
  --service-account-signing-key-file=kube/key.pem "${flags[@]}" >kube.log 2>&1 &
trap '{ kill -KILL $(jobs -p); wait; } 2>/dev/null || true; rm -rf "$work"' EXIT  # without etcd it does not end by itself
kubeconfig() {
  cat <<YAML
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u, namespace: default}}]
clusters: [{name: c, cluster: {server: "https://$1", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: admin}}]
YAML
}
cat >kube.py <<'PYTHON'
import json, ssl, sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen

ANYONE = ssl._create_unverified_context()

def opened(method, path, body=None, token="admin", content="application/json", timeout=30):
    """The open answer; HTTPError unless it is a success."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": content}
    data = None if body is None else json.dumps(body).encode()
    return urlopen(Request(f"https://{sys.argv[1]}{path}", data, headers, method=method), context=ANYONE, timeout=timeout)

def kube(*arguments, **named):
    """The status and the decoded body."""
    try:
        with opened(*arguments, **named) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)
PYTHON
ready='from kube import *; raise SystemExit(kube("GET", "/api/v1/namespaces/default")[0] != 200)'
for _ in $(seq 300); do
  python3 -c "$ready" "$api" 2>/dev/null && break
  sleep 0.2
done
