#!/bin/bash
# The Python package kubernetes 37.0.2 (and its kubernetes.aio) against k8s.io/apimachinery v0.37.2, with which the API
# server reads a Lease's acquireTime and renewTime.
# Guess: a Lease that the client has just read can be written back unchanged.
# Behaviour: the client writes times by datetime.isoformat(), which leaves the fraction out if it is zero; the API
#   machinery reads a MicroTime only with six digits after the point. A Lease with a time on a whole second, such as one
#   written by hand, is refused; of the client's own times it is one in a million. A plain Time is read either way.
source "$(dirname "$0")/python.bash" kubernetes==37.0.2
cat >go.mod <<'EOF'
module finding
go 1.26.0
require k8s.io/apimachinery v0.37.2
EOF
cat >main.go <<'EOF'
// Prints whether a time of the input, one a line, is read as a MicroTime and as a Time.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func main() {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var micro meta.MicroTime
		var whole meta.Time
		text := []byte(`"` + lines.Text() + `"`)
		fmt.Println(json.Unmarshal(text, &micro) == nil, json.Unmarshal(text, &whole) == nil)
	}
}
EOF
go mod tidy 2>/dev/null
go build -o reads .
cat >finding.py <<'EOF'
import importlib.metadata, json, subprocess

from kubernetes import aio, client

print("kubernetes", importlib.metadata.version("kubernetes"))
READ = ["2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:00.000001Z"]

def reads(times):
    run = subprocess.run(["./reads"], input="\n".join(times), capture_output=True, text=True, check=True)
    return [line.split() for line in run.stdout.splitlines()]

assert [micro for micro, _ in reads(READ)] == ["true", "true"]
for module in (client, aio.client):
    api = module.ApiClient.__new__(module.ApiClient)
    api.configuration = module.Configuration()
    for time, expected in zip(READ, (["false", "true"], ["true", "true"]), strict=True):
        body = json.dumps({"kind": "Lease", "spec": {"holderIdentity": "a", "renewTime": time}})
        lease = api.deserialize(body, "V1Lease", "application/json")
        written = api.sanitize_for_serialization(lease)["spec"]["renewTime"]
        found = reads([written])[0]
        print(f"{module.__name__}: {time} is written as {written}; as MicroTime, Time:", *found)
        assert found == expected
EOF
venv/bin/python finding.py
echo "as found: a whole second comes back in a form that is not read as a MicroTime"
