#!/bin/bash
# Prometheus v3.16.0 (Go module v0.316.0), an alert with `keep_firing_for: 1h`, on a gauge that says whether somebody leads.
# Guess: an alert that is kept firing is so when Prometheus is started again, as one goes on waiting for its `for`: the state
#   of both is in the series ALERTS_FOR_STATE.
# Behaviour: that is read only for alerts whose condition holds at the start. One that is only kept firing is gone, though the
#   series has it.
source "$(dirname "$0")/prometheus.bash"
cat >prometheus.yml <<'YAML'
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [rules.yml]
scrape_configs: [{job_name: app, file_sd_configs: [{files: [targets.json]}]}]
YAML
cat >rules.yml <<'YAML'
groups:
- name: all
  rules:
  - {alert: NoLeader, expr: leader == 0, keep_firing_for: 1h}
  - {alert: Waiting, expr: vector(1), for: 1h}
YAML
cat >finding.py <<'PYTHON'
import time

from prom import Exporter, ask, discovered, ended, started

def alerts(what):
    """The state of each, and since when, in seconds."""
    found = {alert["labels"]["alertname"]: (alert["state"], alert["activeAt"][:19]) for alert in ask("alerts")["alerts"]}
    series = "last_over_time(ALERTS_FOR_STATE[10m])"
    stored = sorted(sample["metric"]["alertname"] for sample in ask("query", query=series)["result"])
    print(f"{what}: {found}; in the series: {stored}")
    assert stored == ["NoLeader", "Waiting"]
    return {name: state for name, (state, _) in found.items()}

exporter = Exporter(1)
discovered(exporter)
prometheus = started()
try:
    time.sleep(10)
    exporter.value = 0
    time.sleep(10)
    exporter.value = 1
    time.sleep(10)
    assert alerts("nobody led for 10 s") == {"NoLeader": "firing", "Waiting": "pending"}
    ended(prometheus)
    prometheus = started()
    time.sleep(10)
    assert alerts("Prometheus has been started again") == {"Waiting": "pending"}
finally:
    prometheus.kill()
PYTHON
python3 finding.py
echo "as found: the alert is gone"
