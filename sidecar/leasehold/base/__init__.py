"""What every room may use: clock, logs, back-off, threads, records, addresses, text for a terminal, certificates."""
