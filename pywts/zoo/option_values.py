"""Values of options that no checkpoint could be exported with: said once and before anything runs, not file by file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..renaming import check_renames

if TYPE_CHECKING:
    from collections.abc import Mapping


def check_option_values(options: Mapping[str, Any]) -> None:
    """Raise OptionError for a recipe that there is not, and a rename that is none."""
    recipe = options.get("recipe", "auto")
    if isinstance(recipe, str) and recipe not in ("auto", "none"):
        from ..families.recipes import recipe_of

        recipe_of(recipe)
    check_renames(options.get("rename", ()))
