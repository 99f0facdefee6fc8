// CRC-32 as zlib and zip have it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pywts {

// The checksum of what `before` is the checksum of, followed by these bytes; 0 is that of nothing.
std::uint32_t crc32(std::uint32_t before, const void* data, std::size_t size) noexcept;

}  // namespace pywts
