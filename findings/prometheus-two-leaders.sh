#!/bin/bash
# Prometheus v3.16.0 (Go module v0.316.0), a gauge that each candidate exports, 1 while it leads; scrape_interval 10 s.
# Guess: when the leader's Pod is gone from the service discovery, its gauge counts no more at the next scrape; an alert on
#   `sum(leader) > 1` that waits for one interval is silent, also if Prometheus is started again meanwhile.
# Behaviour: the end is written after two intervals and a tenth, with the time of the next scrape. Until then the old leader
#   counts, so the alert fires at such a takeover, and the graph denies it afterwards. If Prometheus is started again
#   meanwhile, the end is never written: there are two leaders until the last sample is five minutes old.
source "$(dirname "$0")/prometheus.bash"
cat >prometheus.yml <<'YAML'
global: {scrape_interval: 10s, evaluation_interval: 1s}
rule_files: [rules.yml]
scrape_configs: [{job_name: app, file_sd_configs: [{files: [targets.json], refresh_interval: 1s}]}]
YAML
echo '{groups: [{name: all, rules: [{alert: TwoLeaders, expr: sum(leader) > 1, for: 10s}]}]}' >rules.yml
cat >finding.py <<'PYTHON'
import time

from prom import Exporter, ask, discovered, ended, started

def until(expression, value, seconds=120):
    """Waits until that is so, and says how long it took."""
    begun = time.monotonic()
    while [found["value"][1] for found in ask("query", query=expression)["result"]] != [value]:
        assert time.monotonic() - begun < seconds
        time.sleep(0.1)
    return round(time.monotonic() - begun, 1)

a, b, c = Exporter(1), Exporter(0), Exporter(0)
discovered(a, b)
prometheus = started()
try:
    until("sum(leader) + count(leader)", "3")
    begun = time.time()
    b.value = 1
    discovered(b)
    print(f"a led, and is gone; b leads, which is seen after {until('sum(leader)', '2')} s")
    two = until("sum(leader)", "1")
    fired = ask("query", query="count_over_time(ALERTS{alertstate='firing'}[1m])")["result"]
    graph = ask("query_range", query="sum(leader)", start=begun, end=time.time(), step=0.1)["result"][0]["values"]
    later = round(sum(value == "2" for _, value in graph) / 10, 1)
    print(f"two leaders for {two} s; the alert fired: {bool(fired)}; by the graph afterwards for {later} s")
    assert 10.5 < two < 23 and fired and later < 10.5
    ended(prometheus)
    c.value = 1
    discovered(c)
    prometheus = started()
    until("sum(leader)", "2")
    two = until("sum(leader)", "1", 400)
    print(f"b is gone while Prometheus is started again; c leads; two leaders for {two} s")
    assert 200 < two < 310
finally:
    prometheus.kill()
PYTHON
python3 finding.py
echo "as found: two leaders, of which one was gone"
