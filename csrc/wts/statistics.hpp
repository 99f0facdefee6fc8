// What values look like: in one pass, of any dtype, as the float32 numbers that a .wts holds.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "wts/kernel.hpp"
#include "wts/values.hpp"

namespace pywts {

// Figures that are joined part by part. Minimum, maximum, mean and squares are of the finite values, and mean nothing
// if there are none.
struct Figures {
  std::uint64_t count = 0;
  std::uint64_t finite = 0;
  float minimum = 0, maximum = 0;
  double mean = 0;
  double squares = 0;                           // the sum of (value - mean)^2
  std::uint64_t zeros = 0, negative_zeros = 0;  // the latter are among the former
  std::uint64_t nans = 0;
  std::uint64_t half_overflow = 0;   // finite, and infinity in float16
  std::uint64_t half_underflow = 0;  // not zero, and zero in float16
  std::uint64_t half_subnormal = 0;  // below 2^-14, and neither zero nor an underflow

  void join(const Figures& other) noexcept;
};

// What is told of one tensor.
struct Statistics : Figures {
  static constexpr std::size_t kShown = 8;  // values of the beginning and of the end that are kept

  // By the upper nine bits of a value: sign and exponent. [0] and [256] hold zeros and subnormals, [255] and [511]
  // infinities and NaNs.
  std::array<std::uint64_t, 512> exponents{};
  std::array<std::uint32_t, kShown> first{}, last{};  // bits, as many as there are
  std::int64_t overflow = -1;  // the index of a finite float64 that float32 cannot hold: nothing else is told then
};

// Adds up `count` values, in the default floating-point environment. The figures do not depend on the kernel.
void add(Statistics& sum, const std::uint32_t* bits, std::size_t count,
         const Kernel& kernel = pywts::kernel()) noexcept;

// The figures of each tensor. Throws as read() does, except that an overflow is told in the result.
std::vector<Statistics> statistics(const std::vector<const Values*>& all);

}  // namespace pywts
