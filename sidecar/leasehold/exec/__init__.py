"""`leasehold exec`: a command that runs only while this process leads, and the guardian that stops it in time."""
