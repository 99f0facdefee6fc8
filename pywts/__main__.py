"""``python -m pywts``."""

import sys

from .cli import program

sys.exit(program())
