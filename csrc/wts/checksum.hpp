// CRC-32 as zlib and zip have it: one file an instruction set, one table, best first.
#pragma once

#include <cstddef>
#include <cstdint>

#include "wts/kernel.hpp"

namespace pywts {

// The checksum of what `before` is the checksum of, followed by these bytes; 0 is that of nothing.
std::uint32_t crc32(std::uint32_t before, const void* data, std::size_t size) noexcept;

// What bytes of this checksum add to the checksum of the whole that they are part of, where `after` bytes follow them:
// the checksum of the whole is the exclusive or of what its parts add, in any order.
std::uint32_t crc32_part(std::uint32_t sum, std::uint64_t after) noexcept;

struct Checksum {
  const char* name;
  // Whether this processor can run it.
  bool (*supported)() noexcept;
  // The register of the checksum after these bytes; crc32() is this with all bits turned before and after.
  std::uint32_t (*update)(std::uint32_t state, const std::byte* bytes, std::size_t size) noexcept;
};

#if PYWTS_X86
extern const Checksum kVpclmul, kPclmul;
#elif PYWTS_NEON && defined(__linux__)
extern const Checksum kPmull;
#endif
extern const Checksum kTable;

struct ChecksumList {
  const Checksum* const* data;
  std::size_t size;
  const Checksum* const* begin() const noexcept { return data; }
  const Checksum* const* end() const noexcept { return data + size; }
};

// All ways of this build, best first. The last is the table, which every processor runs. The first one that this
// processor can run is used.
ChecksumList checksum_ways() noexcept;

}  // namespace pywts
