"""The API server, called."""
