"""``pywts kernels``."""

from __future__ import annotations

import argparse

from ..encoding import kernels
from .arguments import Parser


def run(arguments: list[str]) -> int:
    """List the kernels: name, whether this processor can run it, which is in use."""
    command_parser().parse_args(arguments)
    for kernel in kernels():
        state = "in use" if kernel.active else "usable" if kernel.supported else "not on this processor"
        print(f"{kernel.name:8}  {state}")
    return 0


def command_parser() -> argparse.ArgumentParser:
    """What the command takes: nothing."""
    return Parser("kernels", description="List the encoders of this build.")
