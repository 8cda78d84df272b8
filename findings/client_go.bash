# What the findings on client-go and controller-runtime share: a temporary folder with an API server of one Lease.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/lease_server.go" "$work"
cd "$work"
