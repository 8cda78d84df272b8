"""The election of one sidecar: a pure state machine. `election.py` is where to start reading."""
