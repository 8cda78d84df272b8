"""What `leasehold exec` and its peers do alike with streams and exit codes: a script for each cell.

`RUN` in a script is the program with what stands before its command. The outcome is what the script prints, and its
exit code after a bar; -n for signal n. A third entry holds the peers that do something else.
"""

HANDLED = {"timeout": "|-1", "foreground": "|-1"}
"""timeout handles the signals that would end it, and so does not leave them ignored."""
REOPENED = {"flock": "0|0", "sudo": "0|0"}
"""flock opens its file in the place of a closed stream, and sudo /dev/null."""
SAME: dict[str, tuple[str, str] | tuple[str, str, dict[str, str]]] = {
    "exit code 0": ("RUN true", "|0"),
    "exit code 7": ("RUN sh -c 'exit 7'", "|7"),
    "an exit code above 128": ("RUN sh -c 'exit 143'", "|143"),
    "arguments as they are": ("RUN printf '%s,' 'a b' '' '*' -x --", "a b,,*,-x,--,|0"),
    "standard input": ("echo hi | RUN cat", "hi|0"),
    "standard output": ("RUN seq 3 | tail -1", "3|0"),
    "standard error": ("RUN sh -c 'echo e >&2' 2>&1 | tail -1", "e|0"),
    "no standard input": ("RUN sh -c 'test -e /proc/self/fd/0; echo $?' <&-", "1|0", REOPENED),
    "no standard output": ("RUN sh -c 'test -e /proc/self/fd/1; exit $?' >&-", "|1", {"flock": "|0", "sudo": "|0"}),
    "no standard error": ("RUN sh -c 'test -e /proc/self/fd/2; echo $?' 2>&-", "1|0", REOPENED),
    "no stream at all": ("RUN sh -c 'exit 3' <&- >&- 2>&-", "|3"),
    "a full disk": ("RUN sh -c 'echo x 2>/dev/null || exit 5' >/dev/full", "|5"),
    "a full disk for errors": ("RUN sh -c 'exit 6' 2>/dev/full", "|6"),
    "a reader that leaves": ("RUN yes | head -1; echo ${PIPESTATUS[0]}", "y 141|0"),
    "an open descriptor": ("RUN sh -c 'echo nine >&9' 9>&1", "nine|0", {"sudo": "|2"}),
    "the current folder": ("cd /proc && RUN pwd", "/proc|0"),
    "the file mode mask": ("umask 027; RUN sh -c umask", "0027|0"),
    "the priority": ("test $(nice -n 3 nice) = $(nice -n 3 RUN nice)", "|0"),
    "the limits": ("ulimit -n 333; RUN sh -c 'ulimit -n'", "333|0"),
    "an ignored signal": ("trap '' HUP; RUN sh -c 'kill -HUP $$; echo on'", "on|0", HANDLED),
    "a loop goes on": ("for i in 1 2; do RUN sh -c 'exit 9'; done; echo $?", "9|0"),
}
