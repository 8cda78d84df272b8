"""The injector's patch as CEL, for the chart's admission policies: generated from `leasehold.injector`.

`document` is what the chart's file holds. The container and the volumes are what `leasehold.injector.container` makes,
called with placeholders and with one circumstance changed at a time. The sentences are those that the injector refuses
an example with. Conditions are written here; `test_injection_policy` holds them against the injector on an API server.
"""
