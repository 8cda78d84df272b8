"""Real processes whose clocks run too fast or too slow, or are set wrong."""

from tests.servers.programs import program


def skewed_clock(rate: float) -> dict[str, str]:
    """What to add to a process's environment so that all its clocks run at `rate` (2.0: twice as fast).

    libfaketime scales CLOCK_MONOTONIC and CLOCK_BOOTTIME, too, and with them asyncio's timers.
    """
    return {
        "LD_PRELOAD": str(program("libfaketime")),
        "FAKETIME": f"+0 x{rate}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "0",
        "FAKETIME_NO_CACHE": "1",
    }


def wrong_date(days: float) -> dict[str, str]:
    """What to add to a process's environment so that its wall clock is so many days ahead."""
    return {
        "LD_PRELOAD": str(program("libfaketime")),
        "FAKETIME": f"{days:+}d",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
