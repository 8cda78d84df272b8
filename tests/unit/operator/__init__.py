"""The operator's pure parts, without any server."""
