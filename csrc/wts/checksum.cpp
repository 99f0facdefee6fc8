// Which ways to a checksum this build has, which one it uses, and how the checksums of parts make that of the whole.
#include "wts/checksum.hpp"

#include <array>
#include <iterator>

#include "wts/checksums/polynomial.hpp"

namespace pywts {
namespace {

constexpr const Checksum* kWays[] = {
#if PYWTS_X86
    &kVpclmul,
    &kPclmul,
#elif PYWTS_NEON && defined(__linux__)
    &kPmull,
#endif
    &kTable,
};

const Checksum& choose() noexcept {
  for (const Checksum* way : kWays) {
    if (way->supported()) return *way;
  }
  return kTable;
}

constexpr std::size_t kDigits = 16;  // of a number of bytes, four bits each

// For each digit at each place: x to the power of so many bytes' bits.
constexpr std::array<std::array<std::uint32_t, 16>, kDigits> make_powers() {
  std::array<std::array<std::uint32_t, 16>, kDigits> powers{};
  std::uint32_t one = power(8);
  for (std::size_t place = 0; place < kDigits; ++place) {
    powers[place][0] = power(0);
    for (std::size_t digit = 1; digit < 16; ++digit) {
      powers[place][digit] = multiply(powers[place][digit - 1], one);
    }
    one = multiply(powers[place][15], one);
  }
  return powers;
}

constexpr auto kPowers = make_powers();

}  // namespace

ChecksumList checksum_ways() noexcept { return {kWays, std::size(kWays)}; }

std::uint32_t crc32(std::uint32_t before, const void* data, std::size_t size) noexcept {
  static const Checksum& chosen = choose();
  return ~chosen.update(~before, static_cast<const std::byte*>(data), size);
}

std::uint32_t crc32_part(std::uint32_t sum, std::uint64_t after) noexcept {
  for (std::size_t place = 0; after != 0; ++place, after >>= 4) {
    if ((after & 15) != 0) sum = multiply(kPowers[place][after & 15], sum);
  }
  return sum;
}

}  // namespace pywts
