#!/bin/bash
# promtool of Prometheus v3.16.0 (Go module v0.316.0), unit tests of rules: a test that an alert is silent, by a name
# that no rule has, or with a rule file that is not there.
# Guess: both are errors.
# Behaviour: both tests pass; of the file a warning tells. A test of silence goes on passing when its alert is
#   renamed, removed or misspelled, and all of them do when the rules are moved.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >go.mod <<'GO'
module finding
go 1.26.0
require github.com/prometheus/prometheus v0.316.0
tool github.com/prometheus/prometheus/cmd/promtool
GO
go mod tidy 2>/dev/null
go list -m github.com/prometheus/prometheus
go build -trimpath -o promtool github.com/prometheus/prometheus/cmd/promtool
cat >rules.yaml <<'YAML'
groups:
- name: group
  rules:
  - {alert: Down, expr: up == 0}
YAML
judge() {  # judge FILE NAME, a test that this alert is silent although its target is down: does it pass?
  cat >test.yaml <<YAML
rule_files: [$1]
tests:
- interval: 1m
  input_series: [{series: up, values: 0x10}]
  alert_rule_test: [{eval_time: 5m, alertname: $2, exp_alerts: []}]
YAML
  if ./promtool test rules test.yaml >log 2>&1; then verdict=passes; else verdict=fails; fi
  echo "no $2, by the rules in $1: $verdict"
}
judge rules.yaml Down; [[ $verdict == fails ]]
judge missing.yaml Down; [[ $verdict == passes ]]
judge rules.yaml Dwon; [[ $verdict == passes ]]
echo "as found: what does not exist is silent"
