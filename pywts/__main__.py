"""``python -m pywts``."""

import sys

from .cli import main

sys.exit(main())
