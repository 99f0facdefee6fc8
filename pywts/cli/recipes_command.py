"""``pywts recipes``."""

from __future__ import annotations

import argparse

from ..families.recipes import recipes
from .arguments import Parser


def run(arguments: list[str]) -> int:
    """List the recipes: name, whether it is applied unasked, what it does."""
    command_parser().parse_args(arguments)
    known = recipes()
    width = max(len(recipe.name) for recipe in known)
    for recipe in known:
        how = "where recognised" if recipe.detected else "where asked for"
        parameters = "".join(f"  [{recipe.name}:{name}=...]" for name in recipe.parameters)
        print(f"{recipe.name:{width}}  {how:16}  {recipe.dialect}  {recipe.summary}{parameters}")
    return 0


def command_parser() -> argparse.ArgumentParser:
    """What the command takes: nothing."""
    return Parser("recipes", description="List what --recipe takes.")
