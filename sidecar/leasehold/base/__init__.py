"""What every room may use: the clock, back-off, threads, records, text for a terminal."""
