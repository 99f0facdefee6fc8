"""pywts: PyTorch checkpoints to the .wts files that TensorRT programs read."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .comparing import Compared as Compared
    from .comparing import Difference as Difference
    from .comparing import TensorDifference as TensorDifference
    from .comparing import Verified as Verified
    from .comparing import diff as diff
    from .comparing import verify as verify
    from .converting import Converted as Converted
    from .converting import convert as convert
    from .encoding import Kernel as Kernel
    from .encoding import encode as encode
    from .encoding import kernels as kernels
    from .errors import CheckpointError as CheckpointError
    from .errors import Error as Error
    from .errors import LimitError as LimitError
    from .errors import MissingTensorError as MissingTensorError
    from .errors import NoWeightsError as NoWeightsError
    from .errors import OptionError as OptionError
    from .errors import OutputError as OutputError
    from .errors import SelectionError as SelectionError
    from .errors import TensorError as TensorError
    from .errors import WtsError as WtsError
    from .exporting import Exported as Exported
    from .exporting import Plan as Plan
    from .exporting import PlannedTensor as PlannedTensor
    from .exporting import export as export
    from .exporting import plan as plan
    from .families.recipes import KnownRecipe as KnownRecipe
    from .families.recipes import recipes as recipes
    from .families.weights import Weights as Weights
    from .headers import get_include as get_include
    from .inspection.facts import Inspection as Inspection
    from .inspection.inspecting import inspect as inspect
    from .inspection.scan_report import ScanReport as ScanReport
    from .inspection.scanning import scan as scan
    from .limits import DEFAULT_LIMITS as DEFAULT_LIMITS
    from .limits import Limits as Limits
    from .reading import StoredTensor as StoredTensor
    from .reading import WtsFile as WtsFile
    from .reading import decode as decode
    from .reading import load as load
    from .reading import open as open
    from .sidecar import Sidecar as Sidecar
    from .sidecar import SidecarTensor as SidecarTensor
    from .zoo.batching import batch as batch
    from .zoo.batching import plan_batch as plan_batch
    from .zoo.plan import BatchPlan as BatchPlan
    from .zoo.report import BatchReport as BatchReport

    __version__: str

# Where each public name lives; nothing is imported before it is asked for. No module bears a public name: importing
# `pywts.export` as a module would put the module in the function's place.
_HOMES = {
    "export": "exporting",
    "plan": "exporting",
    "Exported": "exporting",
    "Plan": "exporting",
    "PlannedTensor": "exporting",
    "open": "reading",
    "load": "reading",
    "decode": "reading",
    "WtsFile": "reading",
    "StoredTensor": "reading",
    "verify": "comparing",
    "diff": "comparing",
    "Verified": "comparing",
    "Compared": "comparing",
    "Difference": "comparing",
    "TensorDifference": "comparing",
    "convert": "converting",
    "Converted": "converting",
    "inspect": "inspection.inspecting",
    "Inspection": "inspection.facts",
    "Sidecar": "sidecar",
    "SidecarTensor": "sidecar",
    "batch": "zoo.batching",
    "plan_batch": "zoo.batching",
    "BatchPlan": "zoo.plan",
    "BatchReport": "zoo.report",
    "scan": "inspection.scanning",
    "ScanReport": "inspection.scan_report",
    "get_include": "headers",
    "recipes": "families.recipes",
    "KnownRecipe": "families.recipes",
    "Weights": "families.weights",
    "encode": "encoding",
    "kernels": "encoding",
    "Kernel": "encoding",
    "Limits": "limits",
    "DEFAULT_LIMITS": "limits",
    "Error": "errors",
    "CheckpointError": "errors",
    "LimitError": "errors",
    "SelectionError": "errors",
    "NoWeightsError": "errors",
    "TensorError": "errors",
    "WtsError": "errors",
    "MissingTensorError": "errors",
    "OutputError": "errors",
    "OptionError": "errors",
    "__version__": "_core",
}

__all__ = [name for name in _HOMES if not name.startswith("_")]


def _find_native_module() -> None:
    """Take the native module of the installed package where this is the source tree, which has none.

    Python started in a clone's top folder finds ``pywts/`` there first, also after ``pip install .``.
    """
    import sys
    from _imp import extension_suffixes
    from os.path import exists, join

    def has_it(folder: str) -> bool:
        return any(exists(join(folder, f"_core{suffix}")) for suffix in extension_suffixes())

    if not has_it(__path__[0]):
        found = next((folder for entry in sys.path if has_it(folder := join(entry, __name__))), None)
        if found is None:
            raise ImportError("pywts is not built here: run `pip install .` in its top folder")
        __path__.append(found)


_find_native_module()


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'pywts' has no attribute {name!r}")
    import sys

    module = f"{__name__}.{home}"
    __import__(module)  # importlib would import warnings first
    value = getattr(sys.modules[module], name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
