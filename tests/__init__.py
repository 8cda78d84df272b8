"""All tests: `python3 -m tests` runs them on a fresh clone; see `__main__.py`."""
