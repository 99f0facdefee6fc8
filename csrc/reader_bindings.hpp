// The part of the bindings that reads .wts files and compares values.
#pragma once

#include <pybind11/pybind11.h>

namespace pywts {

void bind_reader(pybind11::module_& module);

}  // namespace pywts
