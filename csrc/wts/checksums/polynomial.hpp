// The arithmetic of CRC-32: polynomials over two elements modulo the one of zip, the highest power in the lowest bit.
#pragma once

#include <cstdint>

namespace pywts {

inline constexpr std::uint32_t kPolynomial = 0xedb88320;

constexpr std::uint32_t times_x(std::uint32_t a) noexcept { return (a >> 1) ^ ((a & 1) != 0 ? kPolynomial : 0); }

constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) noexcept {
  std::uint32_t product = 0;
  for (; a != 0; a <<= 1, b = times_x(b)) product ^= (a >> 31) != 0 ? b : 0;
  return product;
}

// x to the power of `exponent`.
constexpr std::uint32_t power(std::uint64_t exponent) noexcept {
  std::uint32_t result = 0x80000000;
  for (std::uint32_t square = 0x40000000; exponent != 0; exponent >>= 1, square = multiply(square, square)) {
    if ((exponent & 1) != 0) result = multiply(result, square);
  }
  return result;
}

// To fold 16 bytes over the ones that lie `bits` further on, their first half is multiplied (without carries) by the
// first of these, the second half by the second.
struct Fold {
  std::uint64_t first, second;
};

constexpr Fold fold_over(std::uint64_t bits) noexcept {
  return {std::uint64_t{power(bits + 32)} << 1, std::uint64_t{power(bits - 32)} << 1};
}

}  // namespace pywts
