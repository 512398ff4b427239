"""``python -m fer_tl`` is the command ``fer-tl``."""

import sys

from fer_tl.cli import main

sys.exit(main())
