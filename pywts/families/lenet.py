"""lenet: the published checkpoint has other names than the program's model."""

from __future__ import annotations

from ..errors import SelectionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .weights import Weights

LAYERS = {"layer1.0": "conv1", "layer1.3": "conv2", "layer2.0": "fc1", "layer2.2": "fc2", "layer2.4": "fc3"}
NAMES = {f"{old}.{leaf}": f"{new}.{leaf}" for old, new in LAYERS.items() for leaf in ("weight", "bias")}


def detect(weights: Weights) -> bool:
    """Exactly its ten names."""
    return weights.keys() == NAMES.keys()


def apply(weights: Weights) -> Any:
    """Rename the layers, in the order of the program's model."""
    missing = [name for name in NAMES if name not in weights]
    if missing:
        raise SelectionError(f"{weights.source}: recipe lenet needs the tensor {missing[0]}: leave the recipe out")
    weights.notes.append("lenet: layers renamed to conv1, conv2, fc1, fc2, fc3")
    others = {name: tensor for name, tensor in weights.items() if name not in NAMES}
    return {**{new: weights[old] for old, new in NAMES.items()}, **others}
