"""The certificates of the chart's own etcd: one authority, its members' certificate, its clients'.

They are made where they are needed, and not by whoever renders the chart: a tool that renders without asking the
cluster would make another authority each time, and etcd would trust nobody any more. The chart makes the Secrets,
empty, and `python -m leasehold.operator.certificates` fills and renews them. Kubelets bring a renewed one to the pods,
and etcd and its clients take it up without a restart.
"""
