"""What is to be done about one lock, decided without I/O."""
