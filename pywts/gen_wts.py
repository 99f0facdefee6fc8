"""In place of the ``gen_wts.py`` that everyone copies: ``python -m pywts.gen_wts -w best.pt -o best.wts -t detect``.

It takes the arguments of those scripts and all of ``pywts export``, gives the same bytes, and needs neither torch nor
the training repository. Without ``-t`` no task is assumed; with it, a model of another task is warned of.
"""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main(["export", *sys.argv[1:]]))
