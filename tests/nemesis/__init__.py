"""Real sidecars on a real etcd cluster, under a nemesis; afterwards a checker judges what was seen, and nothing else.

    world     three etcd members, several sidecars, each behind proxies of its own           cluster_world.py
    faults    objects that know whether they are available, how to inject and how to heal    faults/
    nemesis   draws a plan from a seed and carries it out; somebody must lead between acts   nemesis.py
    observer  asks every `/leader` all the time, and etcd for its revision; clients write    observer.py
    gateway   how those two reach etcd: not through our own client                           etcd_gateway.py
    history   all that was seen, with the instants between which it happened; can be saved   history.py
    record    etcd's own record of the queue, replayed; pure                                 queue_record.py
    checker   a history in, contradictions out; pure                                         checker.py
    gap       how long nobody led, and what the lock waited for; pure                        gap.py
    report    what many runs showed, as JSON; its picture                                    report.py, picture.py

Nothing that a sidecar says of itself is believed but its claim to have given the lock up on purpose.
`python -m tests.nemesis --minutes 10` runs fresh seeds; a failed one leaves its history and all logs behind.
"""
