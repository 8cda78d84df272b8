"""HTTP, as the sidecar, the operator and the injector serve it: a small server, and where it listens."""
