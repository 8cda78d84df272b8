"""A real PostgreSQL with a data directory of its own, for the fenced write."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Self

from tests.servers.ports import release_port, reserve_port
from tests.servers.process import Process, ProcessFailed, wait_for
from tests.servers.programs import postgres_bin


class Postgres:
    """PostgreSQL on a free loopback port; `dsn` is what libpq and psycopg take. Not started by the
    constructor.

    PostgreSQL refuses to run as root: then it runs as the user `postgres`, whom the Debian package creates.
    """

    def __init__(self) -> None:
        self.port = reserve_port()
        self.directory = Path(tempfile.mkdtemp(prefix="leasehold-postgres-"))
        self.dsn = f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"
        self._user = "postgres" if os.geteuid() == 0 else None
        self._bin = postgres_bin()
        self._data = self.directory / "data"
        options = [f"--port={self.port}", "--listen_addresses=127.0.0.1", "--unix_socket_directories="]
        self.process = Process(
            [self._bin / "postgres", "-D", self._data, *options],
            name="postgres",
            user=self._user,
            cwd=self.directory,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Create the database cluster if there is none yet, start, and wait until it accepts connections."""
        if not self._data.exists():
            self._initialise()
        self.process.start()
        wait_for(lambda: self._ready() or not self.process.running, "PostgreSQL to accept connections")
        if not self.process.running:
            raise ProcessFailed(f"PostgreSQL ended at once:\n{self.process.log_tail()}")

    def close(self) -> None:
        """End it and remove its data."""
        self.process.close()
        shutil.rmtree(self.directory, ignore_errors=True)
        release_port(self.port)

    def _initialise(self) -> None:
        if self._user:
            shutil.chown(self.directory, self._user)
        argv: list[str | Path] = [self._bin / "initdb", "-D", self._data]
        argv += ["--username=postgres", "--auth=trust", "--encoding=UTF8"]
        with Process(argv, name="initdb", user=self._user, cwd=self.directory) as initdb:
            if initdb.wait(120):
                raise ProcessFailed(f"initdb failed:\n{initdb.log_tail()}")

    def _ready(self) -> bool:
        return "database system is ready to accept connections" in self.process.log_since_start
