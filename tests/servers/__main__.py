"""`python -m tests.servers`: build what lacks, and print where every program is."""

from tests.servers.programs import main

raise SystemExit(main())
