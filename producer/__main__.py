"""``python -m producer`` publishes until it is stopped; ``python -m producer backfill ..`` fills a gap."""

import sys

from producer.backfill import command
from producer.main import main

if sys.argv[1:2] == ["backfill"]:
    sys.exit(command.main(sys.argv[2:]))
sys.exit(main())
