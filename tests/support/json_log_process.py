"""A program of ours that logs JSON."""

import json
from typing import Any, Self

from tests.servers import Process


class JsonLogProcess(Process):
    """Its subclasses' `start` waits until it listens."""

    def begin(self) -> Self:
        """Start it without waiting: for one that is expected to refuse."""
        Process.start(self)
        return self

    def records(self) -> list[dict[str, Any]]:
        """The log of its present process, record by record."""
        parsed = []
        for line in self.log_since_start.splitlines():
            try:
                parsed.append(json.loads(line))
            except ValueError:  # a line still being written, or not the log's
                continue
        return [one for one in parsed if isinstance(one, dict)]
