"""End to end: the charts, the images and the injector on a real cluster with real nodes, under the faults of nodes.

installed
    `Installation`: the chart in its own namespace, with its own etcd; one for all tests that do it no harm
workload
    `Workload`: an app with a sidecar, by the singleton chart, and what becomes of its pods
witness
    `PodWitness`: asks every pod's `/leader` all the time, and judges the answers; `Recorder`: a store that fences
programs/
    what runs elsewhere than in the test: the app in its pod, the asker and the recorder in the cluster's network. Only
    the standard library is used there.
"""
