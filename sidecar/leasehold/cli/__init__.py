"""The command line of `leasehold`: it finds the command; `wait` and `status` are here themselves."""
