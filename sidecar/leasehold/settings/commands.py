"""Which settings each command has, in groups as its help shows them, and those that a single small command has."""

from __future__ import annotations

from typing import Final

from leasehold.settings import parsers
from leasehold.settings.flags import (
    APP_HEALTH,
    CONTROL,
    DRAIN,
    ETCD,
    ETCD_CA,
    ETCD_CERT,
    ETCD_KEY,
    ETCD_PASSWORD_FILE,
    ETCD_USER,
    EXEC_CONTROL,
    EXEC_IDENTITY,
    EXEC_LISTEN,
    EXEC_TIMEOUT,
    GRACE,
    GROUP,
    IDENTITY,
    INIT_WORK,
    LISTEN,
    LOCK,
    LOG_FORMAT,
    LOG_LEVEL,
    MAX_DRIFT,
    NAMESPACE,
    NATIVE_SIDECAR,
    ON_GAINED,
    ON_LOST,
    ONCE_PER,
    OUTPUT,
    POD_LABELS,
    PRIORITY,
    REQUIRE_LOCK,
    ROOT,
    SHOWN_LOCK,
    STATE_DIR,
    TERMINATION_GRACE,
    TIMEOUT,
    TTL,
    URL,
    WAIT_FOR_ALL,
    WATCH,
)
from leasehold.settings.options import Group, Option

CHECK: Final = Option[bool](
    "--check",
    "",
    "print no steps, but judge them; exit code 1 if they contradict the record or break a rule (default: print them)",
    parsers.switch,
    False,
    switch=True,
)

DELETE: Final = Option[bool](
    "--delete",
    "",
    "delete the keys that are found; only while no client is let in (default: print them)",
    parsers.switch,
    False,
    switch=True,
)

ETCD_GROUP: Final = Group("etcd", (ETCD, ETCD_CA, ETCD_CERT, ETCD_KEY, ETCD_USER, ETCD_PASSWORD_FILE))
SHOWN_GROUP: Final = Group("the lock", (SHOWN_LOCK, NAMESPACE, ROOT))
LOCK_GROUP: Final = Group(
    "the lock and this candidate",
    (LOCK, NAMESPACE, ROOT, IDENTITY, TTL, PRIORITY, GROUP, REQUIRE_LOCK, MAX_DRIFT),
)
EXEC_LOCK_GROUP: Final = Group(
    LOCK_GROUP.title, tuple(EXEC_IDENTITY if option is IDENTITY else option for option in LOCK_GROUP.options)
)
LISTEN_GROUP: Final = Group("listeners", (LISTEN, CONTROL))
EXEC_LISTEN_GROUP: Final = Group(LISTEN_GROUP.title, (EXEC_LISTEN, EXEC_CONTROL))
APP_GROUP: Final = Group(
    "the app",
    (STATE_DIR, DRAIN, NATIVE_SIDECAR, TERMINATION_GRACE, INIT_WORK, APP_HEALTH, POD_LABELS, ON_GAINED, ON_LOST),
)
LOG_GROUP: Final = Group("logs", (LOG_LEVEL, LOG_FORMAT))
EXEC_GROUP: Final = Group("the command", (EXEC_TIMEOUT, ONCE_PER, WAIT_FOR_ALL, GRACE))
WAIT_GROUP: Final = Group("waiting", (URL, TIMEOUT))
STATUS_GROUP: Final = Group("output", (OUTPUT, WATCH))

REPLAY_GROUP: Final = Group("replaying", (CHECK,))
RESTORE_GROUP: Final = Group("after a restore", (DELETE, ROOT))

RUN: Final = (ETCD_GROUP, LOCK_GROUP, LISTEN_GROUP, APP_GROUP, LOG_GROUP)
EXEC: Final = (EXEC_GROUP, ETCD_GROUP, EXEC_LOCK_GROUP, EXEC_LISTEN_GROUP, LOG_GROUP)
STATUS: Final = (STATUS_GROUP, SHOWN_GROUP, ETCD_GROUP)
CHECKING: Final = (STATUS_GROUP, SHOWN_GROUP, ETCD_GROUP)
WAIT: Final = (WAIT_GROUP,)
REPLAY: Final = (REPLAY_GROUP,)
RESTORE_CHECK: Final = (RESTORE_GROUP, ETCD_GROUP)

ALL: Final = tuple(
    {
        option.flag: option
        for group in (*RUN, *EXEC, *STATUS, *WAIT, *REPLAY, *RESTORE_CHECK)
        for option in group.options
    }.values()
)
