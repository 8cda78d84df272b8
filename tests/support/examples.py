"""How many of its examples a test that only computes goes through.

All of them on the main interpreter. The others run the same code, so that a fifth will show where they differ.
"""

import os

ENVIRONMENT = {"LEASEHOLD_TEST_EXAMPLES": "fifth"}
"""For a run that makes do with fewer."""
_PARTS = 5 if os.environ.get("LEASEHOLD_TEST_EXAMPLES") == "fifth" else 1


def examples(number: int) -> int:
    """Of so many on the main interpreter, how many here."""
    return max(number // _PARTS, 1)


def some(number: int) -> range:
    """The places of those of `number` examples that are gone through here."""
    return range(0, number, _PARTS)
