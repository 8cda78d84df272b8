"""Work that may block for as long as it likes: it is done in threads that nothing waits for."""
