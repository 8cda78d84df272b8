"""The table of settings: the flags that several commands share, and those of run, exec, wait and status.

No setting's name ends in `_PORT`, `_SERVICE_HOST` or the like: Kubernetes sets such variables in every pod of a
namespace that has a Service named `leasehold`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from leasehold.base.records import replace
from leasehold.lock.keys import DEFAULT_ROOT
from leasehold.lock.spec import DEFAULT_TTL
from leasehold.settings import parsers
from leasehold.settings.options import Option

MAX_TERMINATION_GRACE_SECONDS: Final = 604_800
"""A week. The injector and the library chart give no more, whatever the pod has."""
MIN_PERIOD_SECONDS: Final = 5
"""etcd grants no lease shorter than about one and a half of its election timeouts."""
MAX_PERIOD_SECONDS: Final = 366 * 86400

ETCD: Final = Option[tuple[str, ...]](
    "--etcd",
    "URL,…",
    "members of etcd, comma-separated (default: http://127.0.0.1:2379)",
    parsers.etcd_urls,
    ("http://127.0.0.1:2379",),
)
ETCD_CA: Final = Option[Path | None](
    "--etcd-ca",
    "FILE",
    "authority that signed etcd's certificates, PEM (default: the system's)",
    parsers.readable_file,
    None,
)
ETCD_CERT: Final = Option[Path | None](
    "--etcd-cert",
    "FILE",
    "client certificate to show to etcd, PEM; read again when it changes",
    parsers.readable_file,
    None,
)
ETCD_KEY: Final = Option[Path | None]("--etcd-key", "FILE", "its private key, PEM", parsers.readable_file, None)
ETCD_USER: Final = Option[str](
    "--etcd-user",
    "NAME",
    "user to log in to etcd as; @FILE takes the name from a file",
    parsers.name_or_file,
    "",
)
ETCD_PASSWORD_FILE: Final = Option[Path | None](
    "--etcd-password-file",
    "FILE",
    "file with that user's password, and perhaps the next one on a second line; read again at each login",
    parsers.readable_file,
    None,
)

LOCK: Final = Option[str](
    "--lock", "NAME", "lock to queue for: name or namespace/name (required)", parsers.as_given, ""
)
SHOWN_LOCK: Final = replace(LOCK, help="lock to look at: name or namespace/name (default: all locks)")
NAMESPACE: Final = Option[str](
    "--namespace",
    "NAME",
    "the lock's namespace, unless --lock has one (default: POD_NAMESPACE, else default)",
    parsers.as_given,
    "default",
    fallback="POD_NAMESPACE",
)
ROOT: Final = Option[str](
    "--root", "PATH", f"prefix of all keys in etcd (default: {DEFAULT_ROOT})", parsers.root, DEFAULT_ROOT
)
IDENTITY: Final = Option[str](
    "--identity",
    "TEXT",
    "this candidate's name, unlike all others' (default: POD_NAME, else the host name)",
    parsers.printable,
    "",
    fallback="POD_NAME",
)
TTL: Final = Option[int | None](
    "--ttl",
    "SECONDS",
    f"lease time: a dead leader is replaced after it, 3 to 3600 (default: the Lock's, else {DEFAULT_TTL})",
    parsers.ttl,
    None,
)
PRIORITY: Final = Option[int](
    "--priority",
    "N",
    "rank without an operator: the higher one is preferred (default: 0)",
    parsers.priority,
    0,
)
GROUP: Final = Option[str](
    "--group",
    "TEXT",
    "the revision this pod belongs to, such as its pod-template-hash (default: none)",
    parsers.printable,
    "",
)
REQUIRE_LOCK: Final = Option[bool](
    "--require-lock",
    "",
    "do not join a lock that no Lock resource declares (default: join)",
    parsers.switch,
    False,
    switch=True,
)
MAX_DRIFT: Final = Option[float](
    "--max-drift",
    "FRACTION",
    "by how much a host's clock rate may be off; shortens the lease (default: 0.01)",
    parsers.max_drift,
    0.01,
)

LISTEN: Final = Option[tuple[str, int]](
    "--listen",
    "HOST:PORT",
    "where /leader, /events, /metrics and the probes answer (default: :4040, which is all addresses)",
    parsers.host_port,
    ("", 4040),
)
CONTROL: Final = Option[tuple[str, int] | Path](
    "--control",
    "ADDRESS",
    "where /handover, /pause, /resume, /drained and /debug/record answer: loopback or unix:PATH (default: "
    "127.0.0.1:4041)",
    parsers.loopback,
    ("127.0.0.1", 4041),
)

EXEC_IDENTITY: Final = Option[str](
    "--identity",
    "TEXT",
    "this process's name, unlike all others' (default: POD_NAME or the host name, with the process id and four random "
    "hexadecimal digits)",
    parsers.printable,
    "",
    fallback="POD_NAME",
)
EXEC_LISTEN: Final = Option[tuple[str, int] | None](
    "--listen",
    "HOST:PORT",
    "where /leader, /events, /metrics and the probes answer (default: nowhere)",
    parsers.host_port,
    None,
)
EXEC_CONTROL: Final = Option[tuple[str, int] | Path | None](
    "--control",
    "ADDRESS",
    "where /handover, /pause, /resume and /debug/record answer: loopback or unix:PATH (default: nowhere)",
    parsers.loopback,
    None,
)

STATE_DIR: Final = Option[Path | None](
    "--state-dir",
    "DIR",
    "keeps state.json, and the term over a container's restart: an emptyDir (default: none)",
    parsers.writable_directory,
    None,
)
DRAIN: Final = Option[float](
    "--drain",
    "SECONDS",
    "longest wait for the app to stop its work before the lock is given up, 0 to 3600; the lease is kept "
    "alive meanwhile, so it may be longer than the TTL (default: 0)",
    parsers.seconds(0),
    0.0,
)
NATIVE_SIDECAR: Final = Option[bool](
    "--native-sidecar",
    "",
    "Kubernetes stops this container after the app: at TERM give the lock up when the app has ended, and do not drain "
    "(default: drain)",
    parsers.switch,
    False,
    switch=True,
)
TERMINATION_GRACE: Final = Option[float](
    "--termination-grace",
    "SECONDS",
    "with --native-sidecar: the pod's terminationGracePeriodSeconds (default: 30)",
    parsers.seconds(0, MAX_TERMINATION_GRACE_SECONDS),
    30.0,
)
INIT_WORK: Final = Option[bool](
    "--init-work",
    "",
    "with --native-sidecar: init containers that come after this one may work under the lock, so at TERM keep it for "
    "as long as they may run (default: none do)",
    parsers.switch,
    False,
    switch=True,
)
APP_HEALTH: Final = Option[str](
    "--app-health",
    "URL",
    "join and lead only while this answers 2xx or 3xx (default: no check)",
    parsers.web_url,
    "",
)
POD_LABELS: Final = Option[Path | None](
    "--pod-labels",
    "FILE",
    "the pod's labels, by the downward API: /readyz answers 503 while they name a leader that does not lead "
    "(default: not looked at)",
    parsers.readable_file,
    None,
)
ON_GAINED: Final = Option[tuple[str, ...]](
    "--on-gained",
    "CMD",
    "command to run when leadership is gained; a hint, no guarantee",
    parsers.command,
    (),
    resolved=False,
)
ON_LOST: Final = Option[tuple[str, ...]](
    "--on-lost",
    "CMD",
    "command to run when leadership is lost; a hint, no guarantee",
    parsers.command,
    (),
    resolved=False,
)

LOG_LEVEL: Final = Option[str](
    "--log-level",
    "LEVEL",
    "one of debug, info, warning and error (default: info)",
    parsers.one_of("debug", "info", "warning", "error"),
    "info",
)
LOG_FORMAT: Final = Option[str](
    "--log-format", "FORMAT", "one of text and json, on stderr (default: text)", parsers.one_of("text", "json"), "text"
)

GRACE: Final = Option[float | None](
    "--grace",
    "SECONDS",
    "time between TERM and KILL when the command must stop; the TTL bounds it, since both come before the lease "
    "ends (default: as long as it allows, at most 10)",
    parsers.seconds(0),
    None,
)
EXEC_TIMEOUT: Final = Option[float | None](
    "--timeout",
    "SECONDS",
    "longest wait for the lock, 0 to 86400; 0 tries once. Exit code 69 if it was not free (default: no limit)",
    parsers.seconds(0, 86400),
    None,
)
ONCE_PER: Final = Option[int | None](
    "--once-per",
    "DURATION",
    "do not run the command, and exit with 0, if it ended with 0 under this lock less than DURATION ago: 90, 15m, 6h, "
    "1d. Use about half the time between two runs of a crontab (default: always run it)",
    parsers.duration(MIN_PERIOD_SECONDS, MAX_PERIOD_SECONDS),
    None,
)
WAIT_FOR_ALL: Final = Option[bool](
    "--wait-for-all",
    "",
    "after the command has ended, keep the lock until the processes that it left behind have ended, too (default: "
    "stop them)",
    parsers.switch,
    False,
    switch=True,
)
URL: Final = Option[str](
    "--url",
    "URL",
    "the sidecar's public listener (default: http://127.0.0.1:4040)",
    parsers.sidecar_url,
    "http://127.0.0.1:4040",
)
TIMEOUT: Final = Option[float | None](
    "--timeout", "SECONDS", "how long to wait, 0 to 86400 (default: no limit)", parsers.seconds(0, 86400), None
)
OUTPUT: Final = Option[str](
    "--output", "FORMAT", "table or json (default: table)", parsers.one_of("table", "json"), "table"
)

WATCH: Final = Option[bool](
    "--watch",
    "",
    "print it again when it has changed, until Ctrl-C (default: print it once)",
    parsers.switch,
    False,
    switch=True,
)
