"""Run the sandboxes: ``python -m adapters._sandbox --host 127.0.0.1 --port 9100``."""

import sys

from adapters._sandbox.server import main

sys.exit(main(sys.argv[1:]))
