"""`leasehold operator` with short times, for what takes minutes and days: `python -m tests.operator.hasty_operator …`

A day of a certificate's life is a second, and what is out of use for two seconds leaves. Names are read each second.
"""

import sys
from datetime import timedelta

from leasehold.__main__ import main
from leasehold.operator.enrolment import controller, usage

if __name__ == "__main__":
    controller.DAY = timedelta(seconds=1)  # type: ignore[misc]
    controller.NAMES_EVERY_SECONDS = 1.0  # type: ignore[misc]
    usage.LEAVE_SECONDS = 2.0  # type: ignore[misc]
    usage.SHARED_SECONDS = 4.0  # type: ignore[misc]
    sys.exit(main())
