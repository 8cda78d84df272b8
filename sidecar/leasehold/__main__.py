"""`leasehold`, and `python -m leasehold`."""

import sys


def main() -> int:
    """Run the command line; returns the exit code. Ctrl-C shows no traceback, from the first import on."""
    try:
        import os

        if os.getpid() == 1:
            _heed_term()
        from leasehold.cli import main as cli

        return cli.main(sys.argv[1:], os.environ)
    except KeyboardInterrupt:
        return 130


def _heed_term() -> None:
    """The kernel drops every TERM that a container's first process has no handler for: then the pod would be stopped
    by KILL, at the end of its grace period. A command that has more to do on TERM sets a handler of its own.
    """
    import signal

    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


if __name__ == "__main__":
    sys.exit(main())
