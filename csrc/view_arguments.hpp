// Described tensors and memory as Python hands them over: part of the bindings.
#pragma once

#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wts/dtype.hpp"
#include "wts/kernel.hpp"
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

// The bytes of an object that has them one after another, held until this goes. BufferError for one with gaps.
class Bytes {
 public:
  explicit Bytes(const pybind11::handle& object, int flags = PyBUF_SIMPLE) {
    if (PyObject_GetBuffer(object.ptr(), &buffer_, flags) != 0) throw pybind11::error_already_set();
  }
  Bytes(Bytes&& other) noexcept : buffer_(std::exchange(other.buffer_, Py_buffer{})) {}
  Bytes& operator=(Bytes&&) = delete;
  ~Bytes() { PyBuffer_Release(&buffer_); }  // of nothing once it was moved

  void* data() const noexcept { return buffer_.buf; }
  std::size_t size() const noexcept { return static_cast<std::size_t>(buffer_.len); }

 private:
  Py_buffer buffer_{};
};

// Takes a view's axes, but for those of one step, which change nothing: each that is left doubles the number of values,
// so that there are few, however many a file or an object has. A view without values has one axis. MemoryError where
// the text of so many values would have more bytes than memory has addresses: what is reckoned later fits 64 bits.
inline void take_axes(View& view, const pybind11::tuple& shape, const pybind11::tuple& strides) {
  if (shape.size() != strides.size()) throw pybind11::value_error("shape and strides differ in length");
  std::vector<std::int64_t> counts = integers(shape);
  const std::vector<std::int64_t> steps = integers(strides);
  if (std::any_of(counts.begin(), counts.end(), [](std::int64_t count) { return count < 0; })) {
    throw pybind11::value_error("a shape has no negative sizes");
  }
  if (std::find(counts.begin(), counts.end(), 0) != counts.end()) {
    view.shape = {0};
    view.strides = {1};
    return;
  }
  std::int64_t text = kTextPerValue;
  for (std::size_t axis = 0; axis < counts.size(); ++axis) {
    if (counts[axis] == 1) continue;
    if (__builtin_mul_overflow(text, counts[axis], &text)) throw std::bad_alloc();
    view.shape.push_back(counts[axis]);
    view.strides.push_back(steps[axis]);
  }
}

inline View view_of(std::string_view dtype, bool swapped, bool half, std::int64_t offset, const pybind11::tuple& shape,
                    const pybind11::tuple& strides) {
  View view;
  view.dtype = dtype_named(dtype);
  view.swapped = swapped;
  view.half = half;
  view.offset = offset;
  take_axes(view, shape, strides);
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
