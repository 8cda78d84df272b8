"""`leasehold injector`: the webhook that gives a labelled pod its sidecar as the pod is created.

Pure: `annotations` (what a pod requests), `validation` (why it cannot have it), `container` (what it gets), `sharing`
(what of the pod's own resources), `patch`, `certificate` (when to make, serve and drop certificates). Around it:
`admission` answers the API server, `tls_listener` accepts its connections, `certificate_keeper` rotates the
certificates, `app` puts them together.

The injector's rights in the cluster, all of which it uses: get Locks, with --require-lock or the annotation of that
name; get namespaces, with --require-opt-in; get and patch one Secret and one MutatingWebhookConfiguration, both named
in its settings, unless its certificate comes in files.
"""
