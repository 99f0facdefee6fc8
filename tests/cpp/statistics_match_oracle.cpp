// The figures of every kernel are those of a naive loop over long double: counts exactly, mean and squares closely; the
// same bits with every kernel, and also on a thread that flushes subnormals to zero.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "wts/statistics.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

int failures = 0;

void expect(bool right, const char* what, const char* kernel, std::size_t count) {
  if (right) return;
  std::printf("%s of %zu values, kernel %s\n", what, count, kernel);
  ++failures;
}

float number(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

struct Oracle {
  std::uint64_t finite = 0, zeros = 0, negative_zeros = 0, nans = 0, overflow = 0, underflow = 0, subnormal = 0;
  float minimum = 0, maximum = 0;
  long double mean = 0, squares = 0;
};

Oracle naive(const std::vector<std::uint32_t>& bits) {
  Oracle oracle;
  long double sum = 0;
  for (const std::uint32_t each : bits) {
    const float value = number(each);
    const float magnitude = std::fabs(value);
    oracle.zeros += (each & 0x7fffffff) == 0;
    oracle.negative_zeros += each == 0x80000000;
    oracle.nans += std::isnan(value);
    if (!std::isfinite(value)) continue;
    oracle.minimum = oracle.finite == 0 || value < oracle.minimum ? value : oracle.minimum;
    oracle.maximum = oracle.finite == 0 || value > oracle.maximum ? value : oracle.maximum;
    ++oracle.finite;
    sum += static_cast<long double>(value);
    oracle.overflow += magnitude >= 65520.0f;
    oracle.underflow += (each & 0x7fffffff) != 0 && magnitude <= std::ldexp(1.0f, -25);
    oracle.subnormal += magnitude > std::ldexp(1.0f, -25) && magnitude < std::ldexp(1.0f, -14);
  }
  if (oracle.finite > 0) oracle.mean = sum / static_cast<long double>(oracle.finite);
  for (const std::uint32_t each : bits) {
    const auto value = static_cast<long double>(number(each));
    if (std::isfinite(number(each))) oracle.squares += (value - oracle.mean) * (value - oracle.mean);
  }
  return oracle;
}

bool close(double found, long double right, long double size) {
  return std::fabs(static_cast<long double>(found) - right) <= 1e-12L * std::fabs(right) + 1e-13L * size;
}

void check(const pywts::Kernel& kernel, const std::vector<std::uint32_t>& bits) {
  const std::size_t count = bits.size();
  pywts::Statistics found;
  pywts::add(found, bits.data(), count, kernel);
  const Oracle oracle = naive(bits);
  expect(found.count == count, "the number", kernel.name, count);
  expect(found.finite == oracle.finite, "the finite ones", kernel.name, count);
  expect(found.zeros == oracle.zeros, "the zeros", kernel.name, count);
  expect(found.negative_zeros == oracle.negative_zeros, "the negative zeros", kernel.name, count);
  expect(found.nans == oracle.nans, "the NaNs", kernel.name, count);
  expect(found.half_overflow == oracle.overflow, "the overflows of float16", kernel.name, count);
  expect(found.half_underflow == oracle.underflow, "the underflows of float16", kernel.name, count);
  expect(found.half_subnormal == oracle.subnormal, "the subnormals of float16", kernel.name, count);
  if (oracle.finite > 0) {
    const long double size = std::fmax(std::fabs(oracle.minimum), std::fabs(oracle.maximum));
    expect(found.minimum == oracle.minimum, "the minimum", kernel.name, count);
    expect(found.maximum == oracle.maximum, "the maximum", kernel.name, count);
    expect(close(found.mean, oracle.mean, size), "the mean", kernel.name, count);
    expect(close(found.squares, oracle.squares, 0), "the squares", kernel.name, count);
  }
  std::vector<std::uint64_t> exponents(512);
  for (const std::uint32_t each : bits) ++exponents[each >> 23];
  expect(std::equal(exponents.begin(), exponents.end(), found.exponents.begin()), "the exponents", kernel.name, count);

  pywts::Statistics scalar;
  pywts::add(scalar, bits.data(), count, pywts::kScalar);
  expect(std::memcmp(&scalar.mean, &found.mean, sizeof scalar.mean) == 0, "the mean's bits", kernel.name, count);
  expect(std::memcmp(&scalar.squares, &found.squares, sizeof scalar.squares) == 0, "the squares' bits", kernel.name,
         count);
#if defined(__x86_64__)
  const unsigned saved = _mm_getcsr();
  _mm_setcsr(saved | 0x8040);
  pywts::Statistics flushed;
  pywts::add(flushed, bits.data(), count, kernel);
  _mm_setcsr(saved);
  expect(flushed.minimum == found.minimum && flushed.zeros == found.zeros && flushed.mean == found.mean,
         "where subnormals are flushed, the figures", kernel.name, count);
#endif
}

}  // namespace

int main() {
  std::mt19937 random(20261124);
  const auto any = [&random] { return static_cast<std::uint32_t>(random()); };
  std::normal_distribution<float> normal(0.01f, 0.1f);
  for (const pywts::Kernel* kernel : pywts::kernels()) {
    if (!kernel->supported()) {
      std::printf("NOT RUN: kernel %s, which this processor lacks\n", kernel->name);
      continue;
    }
    for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{15}, std::size_t{16}, std::size_t{17},
                                    std::size_t{4095}, std::size_t{4096}, std::size_t{4097}, std::size_t{50'000}}) {
      std::vector<std::uint32_t> bits(count);
      for (std::uint32_t& each : bits) {  // numbers as weights are
        const float value = normal(random);
        std::memcpy(&each, &value, sizeof each);
      }
      check(*kernel, bits);
      for (std::uint32_t& each : bits) each = any();  // any bits at all
      check(*kernel, bits);
      for (std::uint32_t& each : bits) each = 0x007fffff & any();  // subnormals alone
      check(*kernel, bits);
      for (std::uint32_t& each : bits) each = 0x7f800000 | any();  // no number at all
      check(*kernel, bits);
    }
  }
  if (failures == 0) std::printf("all figures are those of the oracle\n");
  return failures == 0 ? 0 : 1;
}
