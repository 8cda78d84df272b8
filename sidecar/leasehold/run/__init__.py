"""`leasehold run`: the sidecar, its routes, hooks and files."""
