"""`leasehold`, and `python -m leasehold`."""

import sys


def main() -> int:
    """Run the command line; returns the exit code. A command that returns -n ends by signal n.

    Ctrl-C ends it by SIGINT, without a traceback, from the first import on.
    """
    try:
        import os

        if os.getpid() == 1:
            _handle_term(sys.argv[1:2])
        from leasehold.cli import main as cli

        code = cli.main(sys.argv[1:], os.environ)
    except KeyboardInterrupt:
        code = -2
    if code >= 0:
        return code
    from leasehold.base.interrupted import die_of

    return die_of(-code)


def _handle_term(command: list[str]) -> None:
    """For a container's first process, the kernel drops every TERM without a handler: the pod would end by KILL, at the
    end of its grace period. Commands that have more to do on TERM replace this handler.
    """
    import signal

    # a sidecar that is told to stop while it starts has nothing to give up, and has not failed
    code = 0 if command == ["run"] else 128 + signal.SIGTERM
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(code))


if __name__ == "__main__":
    sys.exit(main())
