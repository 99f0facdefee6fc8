// Tables: sixteen bytes at a time.
#include <array>

#include "wts/checksum.hpp"
#include "wts/checksums/polynomial.hpp"

namespace pywts {
namespace {

constexpr std::size_t kSlices = 16;  // bytes that are taken at a time

using Tables = std::array<std::array<std::uint32_t, 256>, kSlices>;

// For each byte what it does to the checksum when `slice` more bytes follow it.
constexpr Tables make_tables() {
  Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t sum = byte;
    for (int bit = 0; bit < 8; ++bit) sum = times_x(sum);
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

std::uint32_t update(std::uint32_t state, const std::byte* bytes, std::size_t size) noexcept {
  for (; size >= kSlices; size -= kSlices, bytes += kSlices) {
    std::uint32_t next = 0;
    for (std::size_t i = 0; i < kSlices; ++i) {
      const std::uint32_t old = i < 4 ? (state >> (8 * i)) & 255 : 0;
      next ^= kTables[kSlices - 1 - i][std::to_integer<std::uint32_t>(bytes[i]) ^ old];
    }
    state = next;
  }
  for (; size > 0; --size, ++bytes) {
    state = (state >> 8) ^ kTables[0][(state ^ std::to_integer<std::uint32_t>(*bytes)) & 255];
  }
  return state;
}

bool supported() noexcept { return true; }

}  // namespace

const Checksum kTable = {"table", supported, update};

}  // namespace pywts
