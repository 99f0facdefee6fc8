// The part of the bindings for zip archives.
#pragma once

#include <pybind11/pybind11.h>

namespace pywts {

void bind_archive(pybind11::module_& module);

}  // namespace pywts
