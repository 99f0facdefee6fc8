// Tensors of zip checkpoints, described many at once: part of the bindings.
#pragma once

#include <pybind11/pybind11.h>

namespace pywts {

void bind_describing(pybind11::module_& module);

}  // namespace pywts
