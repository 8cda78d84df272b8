"""`leasehold injector`: the webhook that gives a labelled pod its sidecar as the pod is created.

Pure: `annotations` (what a pod's annotations ask for), `validation` (why it cannot have it), `container` (what it
gets), `patch`, `certificate` (what is to become of the certificates). Around it: `admission` answers the API server,
`tls_listener` lets it in, `certificate_keeper` looks after the certificates, `app` puts them together.

All that it may do in the cluster, and does: get Locks, with --require-lock or the annotation of that name; get
namespaces, with --require-opt-in; get and patch the one Secret and the one MutatingWebhookConfiguration that it is
told of, unless its certificate comes in files.
"""
