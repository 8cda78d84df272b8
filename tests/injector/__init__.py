"""The injector as a process on a real API server; `tests/e2e` has it in pods, asked by the API server itself."""
