// Reads a view's values in C order, whatever its strides, in chunks that fit the caches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "wts/view.hpp"

namespace pywts {

// The number of elements (1 for a scalar). The caller has checked that it does not overflow.
std::uint64_t numel(const View& view) noexcept;

// Whether every element that the view names lies inside the storage. True for a view without elements.
bool inside(const View& view, std::uint64_t storage_size) noexcept;

// Takes `count` values' bits (float32), valid until it returns.
using TakeBits = std::function<void(const std::uint32_t* bits, std::size_t count)>;

// Calls `take` with all values of the view in C order, widened to float32.
// Memory: a few MiB at most, for any tensor and any strides.
// Throws Error{overflow, index}, Error{source_read}, Error{source_short, byte offset}, Error{out_of_bounds}.
void gather(const Storage& storage, const View& view, const TakeBits& take);

}  // namespace pywts
