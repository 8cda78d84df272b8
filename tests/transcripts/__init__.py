"""Scenarios of one sidecar's election as transcripts: each a file, made by recording a script and replaying the record.

`scenarios_of_*.py` hold the scripts, `*.txt` what comes of them. A test fails if one differs: read the difference, and
if it is meant, update the files by `python -m tests.transcripts --update`.

A line is an event with its instant (seconds since the start) and the state in which it came. Below it, `>` is a command
that it led to, and `=` what changed in the snapshot. A line with `#` says what happens outside.
"""
