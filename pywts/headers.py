"""Where the C++ header and its CMake package are."""

from __future__ import annotations

import os

from .errors import Error


def get_include() -> str:
    """The folder of ``wts.hpp``, for a C++ compiler's ``-I``."""
    return _folder("include", "csrc/include", "wts.hpp")


def cmake_folder() -> str:
    """The folder of the CMake package ``wts``, for ``-Dwts_DIR``."""
    return _folder("cmake", "cmake", "wtsConfig.cmake")


def _folder(installed: str, in_sources: str, wanted: str) -> str:
    from . import __path__ as homes

    beside = [os.path.join(home, installed) for home in homes]
    sources = [os.path.join(os.path.dirname(home), in_sources) for home in homes]
    for folder in (*beside, *sources):
        if os.path.exists(os.path.join(folder, wanted)):
            return folder
    raise Error(f"{wanted} is not there: install pywts again")
