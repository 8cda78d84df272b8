"""`leasehold operator` with short times, for what takes minutes and days: `python -m tests.operator.hasty_operator …`

A day of a certificate's life is a second, and what is out of use for two seconds leaves. Names are read each second,
and so is etcd's space, which is made again after seconds.
"""

import sys
from datetime import timedelta

from leasehold.__main__ import main
from leasehold.operator.enrolment import controller, login_secrets, start, usage
from leasehold.operator.enrolment.upkeep import controller as upkeep
from leasehold.operator.enrolment.upkeep import plan as upkeep_plan

SHORT = (
    (controller, "DAY", timedelta(seconds=1)),
    (start, "DAY", timedelta(seconds=1)),
    (login_secrets, "ANNOUNCED_FOR", timedelta(seconds=3)),
    (controller, "NAMES_EVERY_SECONDS", 1.0),
    (usage, "LEAVE_SECONDS", 2.0),
    (usage, "SHARED_SECONDS", 4.0),
    (upkeep, "LOOK_EVERY_SECONDS", 1.0),
    (upkeep, "DESERTED_SECONDS", 2.0),
    (upkeep_plan, "COMPACT_EVERY_SECONDS", 2.0),
    (upkeep_plan, "DEFRAGMENT_EVERY_SECONDS", 4.0),
)

if __name__ == "__main__":
    for module, name, value in SHORT:
        assert hasattr(module, name), f"{module.__name__} has no {name} any more"
        setattr(module, name, value)
    sys.exit(main())
