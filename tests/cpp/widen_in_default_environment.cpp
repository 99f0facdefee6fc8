// Whatever floating-point environment a thread has, DefaultFloatEnvironment gives the default one and then restores it.
#include <cfenv>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "wts/widen.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

using pywts::Dtype;

int failures = 0;

void expect(const pywts::Kernel& kernel, const char* what, std::uint64_t got, std::uint64_t wanted) {
  if (got == wanted) return;
  std::printf("FAILED %s: %s is %llx and not %llx\n", kernel.name, what, static_cast<unsigned long long>(got),
              static_cast<unsigned long long>(wanted));
  ++failures;
}

// The control register, and the same with its bits set that flush subnormals to zero.
#if defined(__x86_64__)
constexpr std::uint64_t kFlush = 0x8040;
std::uint64_t control() { return _mm_getcsr() & 0xffc0; }  // without the exceptions that were raised
void set_control(std::uint64_t value) { _mm_setcsr(static_cast<unsigned>(value)); }
#elif defined(__aarch64__)
constexpr std::uint64_t kFlush = 1 << 24;
std::uint64_t control() {
  std::uint64_t value;
  asm volatile("mrs %0, fpcr" : "=r"(value));
  return value;
}
void set_control(std::uint64_t value) { asm volatile("msr fpcr, %0" : : "r"(value)); }
#else
constexpr std::uint64_t kFlush = 0;
std::uint64_t control() { return 0; }
void set_control(std::uint64_t) {}
#endif

std::uint32_t widened(const pywts::Kernel& kernel, Dtype dtype, std::uint64_t value) {
  std::uint64_t values[130];
  std::uint32_t bits[130];
  for (std::uint64_t& each : values) each = value;
  pywts::widen(dtype, kernel)(reinterpret_cast<const std::byte*>(values), 130, bits);
  for (std::uint32_t each : bits) expect(kernel, "one of equal values", each, bits[129]);
  return bits[129];
}

void check_values(const pywts::Kernel& kernel) {
  double tiny = 1e-40;
  std::uint64_t tiny_bits;
  std::memcpy(&tiny_bits, &tiny, sizeof tiny);
  expect(kernel, "1e-40", widened(kernel, Dtype::float64, tiny_bits), 0x000116c2);
  expect(kernel, "-1e-40", widened(kernel, Dtype::float64, tiny_bits | 0x8000000000000000), 0x800116c2);
  expect(kernel, "2^24 + 1", widened(kernel, Dtype::int64, 16777217), 0x4b800000);
  expect(kernel, "-(2^24 + 1)", widened(kernel, Dtype::int64, 0 - std::uint64_t{16777217}), 0xcb800000);
  expect(kernel, "2^53 + 1", widened(kernel, Dtype::uint64, 9007199254740993), 0x5a000000);
  expect(kernel, "0", widened(kernel, Dtype::uint64, 0), 0);
  std::uint32_t half[16];
  for (std::uint32_t& each : half) each = 0x3f801000;  // halfway between two halves
  pywts::round_to_half(half, 16, kernel);
  expect(kernel, "1 + 2^-11", half[0], 0x3f800000);
}

}  // namespace

int main() {
  const std::uint64_t original = control();
  for (const pywts::Kernel* kernel : pywts::kernels()) {
    if (!kernel->supported()) {
      std::printf("SKIPPED kernel %s: this processor lacks it\n", kernel->name);
      continue;
    }
    for (int rounding : {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
      for (std::uint64_t flush : {std::uint64_t{0}, kFlush}) {
        std::fesetround(rounding);
        set_control(control() | flush);
        const std::uint64_t before = control();
        {
          const pywts::DefaultFloatEnvironment environment;
          expect(*kernel, "the control register", control(), original);
          check_values(*kernel);
        }
        expect(*kernel, "the control register afterwards", control(), before);
        set_control(original);
      }
    }
    std::printf("kernel %s checked\n", kernel->name);
  }
  return failures == 0 ? 0 : 1;
}
