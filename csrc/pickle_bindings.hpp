// The inert pickle machine for Python: part of the bindings.
#pragma once

#include <pybind11/pybind11.h>

namespace pywts {

void bind_pickle(pybind11::module_& module);

}  // namespace pywts
