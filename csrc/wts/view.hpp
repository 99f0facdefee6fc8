// A described tensor: where its bytes are and how they are to be walked. Never a copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "wts/dtype.hpp"

namespace pywts {

// A span of a file whose CRC32 was kept.
struct CheckedSpan {
  std::uint64_t file_offset = 0;
  std::uint64_t size = 0;
  std::uint32_t crc32 = 0;  // 0: none was computed
};

// The bytes of one storage: a span of an open file (read by pread, so that a file that shrinks is an error and never a
// signal), or memory that the caller keeps alive.
struct Storage {
  int file = -1;                      // >= 0: a file descriptor
  std::uint64_t file_offset = 0;      // of the storage's first byte in the file
  const std::byte* memory = nullptr;  // else: memory
  std::uint64_t size = 0;             // bytes
  CheckedSpan checked = {};           // of a file: what the storage is, or lies in
};

struct View {
  Dtype dtype = Dtype::float32;
  bool swapped = false;               // the storage's byte order is not this machine's
  bool half = false;                  // round every value through float16 first
  std::int64_t offset = 0;            // elements from the storage's start
  std::vector<std::int64_t> shape;    // empty: a scalar
  std::vector<std::int64_t> strides;  // elements; 0 repeats; negative ones are allowed for memory (NumPy has them)
};

}  // namespace pywts
