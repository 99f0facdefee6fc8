// The inert pickle machine for Python: part of the bindings.
#pragma once

#include <pybind11/pybind11.h>

#include <optional>

#include "pickle/machine.hpp"

namespace pywts {

// What a Node stands for; it must outlive what uses it. Nothing where a value is no Node.
struct NodeOfPickle {
  const pickle::Document& document;
  pickle::Id id;
};

std::optional<NodeOfPickle> node_of_pickle(pybind11::handle value);

void bind_pickle(pybind11::module_& module);

}  // namespace pywts
