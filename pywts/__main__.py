"""``python -m pywts``."""

import sys

from .cli import program

if __name__ == "__main__":  # the workers of a batch import this, too
    sys.exit(program())
