// Reads a view's values in C order, whatever its strides, in chunks that fit the caches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "wts/file.hpp"
#include "wts/view.hpp"

namespace pywts {

// The number of elements (1 for a scalar). The caller has checked that it does not overflow.
std::uint64_t numel(const View& view) noexcept;

// Whether every element that the view names lies inside the storage. True for a view without elements.
bool inside(const View& view, std::uint64_t storage_size) noexcept;

// Whether the values lie one after another in C order, without a gap.
bool contiguous(const View& view);

// Takes `count` values' bits (float32), valid until it returns.
using TakeBits = std::function<void(const std::uint32_t* bits, std::size_t count)>;

// Takes bytes of a file as they were read, valid until it returns.
using TakeBytes = std::function<void(const std::byte* bytes, std::size_t size)>;

// Gathers tensor after tensor and keeps its memory between them.
class Gatherer {
 public:
  // The bytes of a strided tensor's file that are held at a time.
  static constexpr std::size_t kBudget = std::size_t{16} << 20;
  // What every tensor needs: here are chunks that are read, put in order, and widened.
  static constexpr std::size_t kMemory = std::size_t{432} << 10;

  // Works in `memory`, kMemory bytes at a multiple of 64 that outlive it; in its own, if that is null.
  explicit Gatherer(Pulse pulse = {}, std::size_t budget = kBudget, std::byte* memory = nullptr);
  ~Gatherer();
  Gatherer(const Gatherer&) = delete;
  Gatherer& operator=(const Gatherer&) = delete;

  // Calls `take` with all values of the view in C order, widened to float32.
  // Memory: the budget and 3 MiB at most, for any tensor and any strides.
  // Throws Error{overflow, index}, Error{source_read, byte offset, errno}, Error{source_short, byte offset},
  // Error{out_of_bounds}; byte offsets count from the file's start.
  void gather(const Storage& storage, const View& view, const TakeBits& take);

  // The same for `count` values from `first` on, of a view that is contiguous. `read`, if any, is given the bytes of
  // all these values in order, where they are a file's.
  void gather(const Storage& storage, const View& view, std::uint64_t first, std::uint64_t count, const TakeBits& take,
              const TakeBytes& read = {});

 private:
  struct Memory;
  Pulse pulse_;
  std::size_t budget_;
  std::unique_ptr<Memory> memory_;
};

// The same for one tensor.
void gather(const Storage& storage, const View& view, const TakeBits& take);

}  // namespace pywts
