#include "wts/checksum.hpp"

#include <array>

namespace pywts {
namespace {

constexpr std::size_t kSlices = 16;  // bytes that are taken at a time

using Tables = std::array<std::array<std::uint32_t, 256>, kSlices>;

// For each byte what it does to the checksum when `slice` more bytes follow it.
constexpr Tables make_tables() {
  Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t sum = byte;
    for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ ((sum & 1) != 0 ? 0xedb88320u : 0);
    tables[0][byte] = sum;
  }
  for (std::size_t slice = 1; slice < kSlices; ++slice) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[slice - 1][byte];
      tables[slice][byte] = (before >> 8) ^ tables[0][before & 255];
    }
  }
  return tables;
}

constexpr Tables kTables = make_tables();

}  // namespace

std::uint32_t crc32(std::uint32_t before, const void* data, std::size_t size) noexcept {
  const auto* bytes = static_cast<const unsigned char*>(data);
  std::uint32_t sum = ~before;
  for (; size >= kSlices; size -= kSlices, bytes += kSlices) {
    std::uint32_t next = 0;
    for (std::size_t i = 0; i < kSlices; ++i) {
      const std::uint32_t old = i < 4 ? (sum >> (8 * i)) & 255 : 0;
      next ^= kTables[kSlices - 1 - i][bytes[i] ^ old];
    }
    sum = next;
  }
  for (; size > 0; --size, ++bytes) sum = (sum >> 8) ^ kTables[0][(sum ^ *bytes) & 255];
  return ~sum;
}

}  // namespace pywts
