// A described tensor as Python hands it over: part of the bindings.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wts/dtype.hpp"
#include "wts/view.hpp"

namespace pywts {

inline Dtype dtype_named(std::string_view name) {
  for (const DtypeInfo& known : kDtypes) {
    if (known.name == name) return known.dtype;
  }
  throw pybind11::value_error("no such dtype: " + std::string(name));
}

inline std::vector<std::int64_t> integers(const pybind11::tuple& tuple) {
  std::vector<std::int64_t> result;
  result.reserve(tuple.size());
  for (const pybind11::handle item : tuple) result.push_back(item.cast<std::int64_t>());
  return result;
}

inline View view_of(std::string_view dtype, bool swapped, bool half, std::int64_t offset, const pybind11::tuple& shape,
                    const pybind11::tuple& strides) {
  if (shape.size() != strides.size()) throw pybind11::value_error("shape and strides differ in length");
  View view;
  view.dtype = dtype_named(dtype);
  view.swapped = swapped;
  view.half = half;
  view.offset = offset;
  view.shape = integers(shape);
  view.strides = integers(strides);
  return view;
}

inline Storage file_storage(int file, std::uint64_t file_offset, std::uint64_t size) {
  Storage storage;
  storage.file = file;
  storage.file_offset = file_offset;
  storage.size = size;
  return storage;
}

// The caller's object keeps the memory alive for the length of the call.
inline Storage memory_storage(std::uintptr_t address, std::uint64_t size) {
  Storage storage;
  storage.memory = reinterpret_cast<const std::byte*>(address);
  storage.size = size;
  return storage;
}

}  // namespace pywts
