"""The benchmark: `python -m tests.bench`, or `python -m tests.bench NAME…` for some of it.

It prints what it measured on, then a Markdown table per question, ours beside what else there is for the same job, all
measured in the same run, round by round in turn, on one real etcd that syncs to a real disk. It judges nothing: a
figure is only as good as the machine is idle. It exits with 1 when a measurement could not be made.

handover  how long nobody leads when the leader is stopped, or asked to step down
release   how long nobody leads when a pod's app has ended, and then its native sidecar is stopped
start     from the start of a process until it leads, on an empty lock: time, and CPU time
crash     from `kill -9` of the leader until the next one leads
idle      memory and CPU of a holder that has nothing to do, and memory of eight on one node
crowd     what etcd spends on idle candidates, in pairs and in one long queue
traffic   what the members of a queue ask of etcd, counted by etcd
load      `/leader` under 500 requests a second, and whether keep-alives suffer
recorder  what the flight recorder adds to a keep-alive, and the memory of a full record
ui        the page with ten thousand locks in a browser, and what fifty browsers cost its process
admission how long the API server takes to create a pod that is injected, by the policy and by the webhook
operator  the operator with thousands of Locks on a real API server: cold start, idleness, changes, takeover

machine.py           what it is measured on
samples.py           samples, percentiles, tables
picture.py           the figures of a run as an SVG, from its JSON
processes.py         memory and CPU of a process, and the environment they all run in
candidates.py        one class per kind of candidate, all alike to the benchmarks
first_lead_event.py  when a sidecar began to lead, by its own event stream
open_loop.py         a steady stream of questions, without co-ordinated omission
etcd3_lock.py        the PyPI etcd3 lock, a program of its own
operators.py         the benchmark `operator`; operator_*.py are its parts, and the servers that they share
"""
