"""Keeps the chart's etcd from being full: compacts, defragments and disarms it, and tells when nothing of that helps.

`model` and `plan` decide, and do no I/O. `members` asks each member, `controller` joins them.
"""
