module leasehold.dev/tests/servers/pause

go 1.26.0
