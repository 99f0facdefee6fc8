// Every dtype is widened bit for bit as an independent, naive decoder does it, with the instructions of every kernel:
// the formats of 8 and 16 bits exhaustively, and also on a thread that flushes subnormals to zero.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "wts/widen.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

using pywts::Dtype;
using Decoder = std::function<std::uint32_t(std::uint64_t)>;

int failures = 0;

std::uint32_t bits_of(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

bool is_nan(std::uint32_t bits) { return (bits & 0x7fffffff) > 0x7f800000; }

// A kernel quiets what widening leaves signalling.
std::uint32_t quiet(std::uint32_t bits) { return is_nan(bits) ? bits | 0x00400000 : bits; }

// This thread flushes subnormals to zero, as operands and as results, while one lives.
class FlushingToZero {
 public:
#if defined(__x86_64__)
  FlushingToZero() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040); }
  ~FlushingToZero() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#elif defined(__aarch64__)
  FlushingToZero() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" : : "r"(saved_ | std::uint64_t{1} << 24));
  }
  ~FlushingToZero() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }

 private:
  std::uint64_t saved_;
#endif
};

void check(const pywts::Kernel& kernel, Dtype dtype, const std::vector<std::uint64_t>& values, const Decoder& decoder) {
  constexpr std::uint32_t kCanary = 0xcafecafe;
  const pywts::DtypeInfo& dtype_info = pywts::info(dtype);
  const std::size_t count = values.size(), size = dtype_info.size;
  std::vector<std::byte> memory(count * size + 1);
  std::byte* source = memory.data() + 1;  // no alignment
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t byte = 0; byte < size; ++byte) {
      const std::size_t place = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? byte : size - 1 - byte;
      source[i * size + place] = static_cast<std::byte>(values[i] >> (8 * byte) & 0xff);
    }
  }
  std::vector<std::uint32_t> bits(count + 32, kCanary);
  const std::size_t done = pywts::widen(dtype, kernel)(source, count, bits.data());
  const std::string name(dtype_info.name);
  if (done != count) {
    std::printf("FAILED %s %s: %zu of %zu values widened\n", kernel.name, name.c_str(), done, count);
    ++failures;
  }
  for (std::size_t i = 0; i < count + 32; ++i) {
    std::uint32_t expected = kCanary;
    if (i < count) {
      expected = decoder(values[i]);
      std::uint32_t alone = 0;  // and by another kernel: the same to the bit, quiet or not
      pywts::widen(dtype, pywts::kScalar)(source + i * size, 1, &alone);
      if (bits[i] == alone && quiet(alone) == quiet(expected)) continue;
    } else if (bits[i] == kCanary) {
      continue;
    }
    std::printf("FAILED %s %s: %llx at %zu of %zu is %08x and not %08x\n", kernel.name, name.c_str(),
                i < count ? static_cast<unsigned long long>(values[i]) : 0, i, count, bits[i], expected);
    ++failures;
    return;
  }
}

// ------------------------------------------------------------------------------------- decoders

// Sign, exponent and fraction as the formats define them; the caller has taken care of what is special.
std::uint32_t finite(std::uint64_t value, int exponent_bits, int fraction_bits, int bias) {
  const bool negative = (value >> (exponent_bits + fraction_bits) & 1) != 0;
  const int exponent = static_cast<int>(value >> fraction_bits) & ((1 << exponent_bits) - 1);
  const double fraction = static_cast<double>(value & ((1u << fraction_bits) - 1)) / (1 << fraction_bits);
  const double magnitude = exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias);
  return bits_of(static_cast<float>(negative ? -magnitude : magnitude));
}

std::uint32_t float16(std::uint64_t value) {
  if ((value & 0x7c00) != 0x7c00) return finite(value, 5, 10, 15);
  return static_cast<std::uint32_t>((value & 0x8000) << 16 | 0x7f800000 | (value & 0x3ff) << 13);
}

std::uint32_t bfloat16(std::uint64_t value) { return static_cast<std::uint32_t>(value * 0x10000); }

std::uint32_t e4m3fn(std::uint64_t value) {
  if (value == 0x7f) return 0x7ff00000;
  if (value == 0xff) return 0xfff00000;
  return finite(value, 4, 3, 7);
}

std::uint32_t e5m2(std::uint64_t value) {
  switch (value) {
    case 0x7c:
      return 0x7f800000;
    case 0xfc:
      return 0xff800000;
    case 0x7d:
      return 0x7fe00000;
    case 0xfd:
      return 0xffe00000;
    case 0x7e:
      return 0x7fc00000;
    case 0xfe:
      return 0xffc00000;
    case 0x7f:
      return 0x7fe00000;
    case 0xff:
      return 0xffe00000;
    default:
      return finite(value, 5, 2, 15);
  }
}

std::uint32_t e4m3fnuz(std::uint64_t value) { return value == 0x80 ? 0x7fc00001 : finite(value, 4, 3, 8); }

std::uint32_t e5m2fnuz(std::uint64_t value) { return value == 0x80 ? 0x7fc00001 : finite(value, 5, 2, 16); }

std::uint32_t e8m0fnu(std::uint64_t value) {
  return value == 0xff ? 0x7fc00001 : bits_of(static_cast<float>(std::ldexp(1.0, static_cast<int>(value) - 127)));
}

std::uint32_t float64(std::uint64_t value) {
  double number;
  std::memcpy(&number, &value, sizeof number);
  if (std::isnan(number)) {
    return static_cast<std::uint32_t>(value >> 32 & 0x80000000) | 0x7fc00000 |
           static_cast<std::uint32_t>(value >> 29 & 0x7fffff);
  }
  volatile double from = number;
  volatile float to = static_cast<float>(from);
  return bits_of(to);
}

template <class T>
std::uint32_t integer(std::uint64_t value) {
  volatile T from = static_cast<T>(value);
  volatile double between = static_cast<double>(from);
  volatile float to = static_cast<float>(between);
  return bits_of(to);
}

std::uint32_t boolean(std::uint64_t value) { return value != 0 ? 0x3f800000 : 0; }

// ------------------------------------------------------------------------------------- values

std::vector<std::uint64_t> all(unsigned bits) {
  std::vector<std::uint64_t> values(std::size_t{1} << bits);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = i;
  return values;
}

// Random values of every magnitude, and what lies about the powers of two and halfway between floats.
std::vector<std::uint64_t> integers(std::mt19937_64& random) {
  std::vector<std::uint64_t> values = {0, 1152921573326323713, 9223372036854775807u, 9223373136366403584u,
                                       ~std::uint64_t{0}};
  for (unsigned bit = 0; bit < 64; ++bit) {
    for (unsigned low = 0; low <= bit; ++low) {
      for (std::uint64_t delta : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}}) {
        const std::uint64_t value = (std::uint64_t{1} << bit) + (std::uint64_t{1} << low) + delta;
        values.push_back(value);
        values.push_back(0 - value);
        values.push_back(value | 1u);
      }
    }
  }
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t value = random() >> (random() % 64);
    values.push_back(value);
    values.push_back(0 - value);
    // A double's last place below the middle between two floats: where rounding twice is not rounding once.
    values.push_back((value << 40) | 0x4000000000 | (random() % 3));
  }
  return values;
}

constexpr std::uint64_t kOverflow = 0x47effffff0000000;  // the least double that rounds to an infinite float

std::vector<std::uint64_t> doubles(std::mt19937_64& random) {
  std::vector<std::uint64_t> values;
  for (std::uint64_t value : {std::uint64_t{0},
                              std::uint64_t{1},
                              std::uint64_t{0x000fffffffffffff},
                              std::uint64_t{0x0010000000000000},
                              std::uint64_t{0x3690000000000000},  // half the least float: to zero
                              std::uint64_t{0x3690000000000001},
                              std::uint64_t{0x36a0000000000000},
                              std::uint64_t{0x36a8000000000000},
                              std::uint64_t{0x380fffffe0000000},
                              std::uint64_t{0x380fffffefffffff},
                              std::uint64_t{0x380ffffff0000000},
                              std::uint64_t{0x3810000000000000},
                              std::uint64_t{0x3ff0000010000000},
                              std::uint64_t{0x3ff0000010000001},
                              std::uint64_t{0x3ff0000030000000},
                              std::uint64_t{0x47efffffe0000000},
                              kOverflow - 1,
                              std::uint64_t{0x7ff0000000000000},
                              std::uint64_t{0x7ff0000000000001},
                              std::uint64_t{0x7ff000001fffffff},
                              std::uint64_t{0x7ff0000020000000},
                              std::uint64_t{0x7ff7ffffffffffff},
                              std::uint64_t{0x7ff8000000000000},
                              std::uint64_t{0x7ff8000000000001},
                              std::uint64_t{0x7fffffffffffffff}}) {
    for (int i = 0; i < 3; ++i) {
      values.push_back(value);
      values.push_back(value | 0x8000000000000000);
      values.push_back(random() % 0x8000000000000000 % kOverflow);
    }
  }
  for (int i = 0; i < 100000; ++i) {
    std::uint64_t value = random();
    const std::uint64_t exponent = 0x360 + random() % 0x11e;  // about what a float holds
    value = (value & 0x800fffffffffffff) | exponent << 52;
    if (i % 4 == 0) value &= 0xffffffffe0000000;                        // exact
    if (i % 4 == 1) value = (value & 0xffffffffe0000000) | 0x10000000;  // halfway
    if ((value & 0x7fffffffffffffff) < kOverflow) values.push_back(value);
  }
  return values;
}

// ------------------------------------------------------------------------------------- checks

void check_dtype(const pywts::Kernel& kernel, Dtype dtype, const std::vector<std::uint64_t>& values,
                 const Decoder& decoder, std::mt19937_64& random) {
  check(kernel, dtype, values, decoder);
  for (std::size_t count = 0; count <= 200; ++count) {
    std::vector<std::uint64_t> some(count);
    for (std::uint64_t& value : some) value = values[random() % values.size()];
    check(kernel, dtype, some, decoder);
    const std::uint64_t same = values[random() % values.size()];
    check(kernel, dtype, std::vector<std::uint64_t>(count, same), decoder);
  }
}

// Wherever the value that overflows lies, its index comes back, and all before it is written.
void check_overflow(const pywts::Kernel& kernel) {
  const pywts::Widen widen = pywts::widen(Dtype::float64, kernel);
  for (std::uint64_t bad :
       {kOverflow, kOverflow + 1, std::uint64_t{0x7fefffffffffffff}, kOverflow | 0x8000000000000000}) {
    for (std::size_t count = 1; count <= 200; count += 7) {
      for (std::size_t at = 0; at < count; ++at) {
        std::vector<std::uint64_t> values(count, 0x3ff0000000000000);
        for (std::size_t i = at; i < count; i += 3) values[i] = bad;
        if (at > 5) values[at - 5] = 0x7ff0000000000000;  // infinite from the start: no overflow
        std::vector<std::uint32_t> bits(count);
        const std::size_t done = widen(reinterpret_cast<const std::byte*>(values.data()), count, bits.data());
        bool right = done == at;
        for (std::size_t i = 0; right && i < at; ++i) right = bits[i] == float64(values[i]);
        if (right) continue;
        std::printf("FAILED %s: overflow at %zu of %zu found at %zu\n", kernel.name, at, count, done);
        ++failures;
      }
    }
  }
}

void check_swap(const pywts::Kernel& kernel, std::mt19937_64& random) {
  for (std::size_t size : {1u, 2u, 4u, 8u}) {
    for (std::size_t count = 0; count <= 200; ++count) {
      std::vector<std::byte> memory(count * size + 33);
      for (std::byte& byte : memory) byte = static_cast<std::byte>(random() & 0xff);
      std::vector<std::byte> expected = memory;
      for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t byte = 0; byte < size; ++byte) {
          expected[1 + i * size + byte] = memory[1 + i * size + size - 1 - byte];
        }
      }
      pywts::swap_bytes(memory.data() + 1, count, size, kernel);
      if (memory == expected) continue;
      std::printf("FAILED %s: %zu elements of %zu bytes swapped\n", kernel.name, count, size);
      ++failures;
    }
  }
}

std::uint32_t half_and_back(std::uint32_t bits) {
  const std::uint32_t sign = bits & 0x80000000, magnitude = bits & 0x7fffffff;
  if (is_nan(bits)) {
    const std::uint32_t kept = magnitude & 0x7fffe000;
    return sign | (kept == 0x7f800000 ? 0x7f802000 : kept);
  }
  if (magnitude == 0x7f800000) return bits;
  float value;
  std::memcpy(&value, &magnitude, sizeof value);
  int exponent = 0;
  std::frexp(value, &exponent);
  const int unit = std::max(exponent - 11, -24);
  const double rounded = std::ldexp(std::nearbyint(std::ldexp(static_cast<double>(value), -unit)), unit);
  return sign | (rounded >= 65536 ? 0x7f800000 : bits_of(static_cast<float>(rounded)));
}

std::vector<std::uint32_t> floats_about_halves(std::mt19937_64& random) {
  std::vector<std::uint32_t> values;
  for (std::uint64_t half = 0; half < 0x7c00; ++half) {
    const std::uint32_t low = float16(half);
    const std::uint32_t high = half == 0x7bff ? 0x47800000 : float16(half + 1);
    float a, b;
    std::memcpy(&a, &low, sizeof a);
    std::memcpy(&b, &high, sizeof b);
    const std::uint32_t middle = bits_of(a + (b - a) / 2);
    for (std::uint32_t value : {low, low + 1, middle - 1, middle, middle + 1, high - 1}) {
      values.push_back(value);
      values.push_back(value | 0x80000000);
    }
  }
  for (std::uint32_t value : {0x7f800000u, 0x7f800001u, 0x7f801fffu, 0x7f802000u, 0x7fa00000u, 0x7fbfffffu, 0x7fc00000u,
                              0x7fc00001u, 0x7fffffffu, 0x7f7fffffu, 0x477fefffu, 0x477ff000u, 0x00000001u}) {
    for (int i = 0; i < 20; ++i) {
      values.push_back(value);
      values.push_back(value | 0x80000000);
      values.push_back(static_cast<std::uint32_t>(random()));
    }
  }
  for (int i = 0; i < 500000; ++i) values.push_back(static_cast<std::uint32_t>(random()));
  return values;
}

void check_half(const pywts::Kernel& kernel, const std::vector<std::uint32_t>& values, std::mt19937_64& random) {
  for (std::size_t round = 0; round <= 100; ++round) {
    const std::size_t first = round == 100 ? 0 : random() % (values.size() - 100);
    const std::size_t count = round == 100 ? values.size() : round;
    std::vector<std::uint32_t> bits(values.begin() + static_cast<std::ptrdiff_t>(first), values.end());
    pywts::round_to_half(bits.data(), count, kernel);
    for (std::size_t i = 0; i < std::min(count + 16, bits.size()); ++i) {
      const std::uint32_t value = values[first + i];
      const std::uint32_t expected = i < count ? half_and_back(value) : value;
      if (bits[i] == expected) continue;
      std::printf("FAILED %s: %08x rounded to half is %08x and not %08x\n", kernel.name, value, bits[i], expected);
      ++failures;
      return;
    }
  }
}

void check_small_formats(const pywts::Kernel& kernel, std::mt19937_64& random) {
  check_dtype(kernel, Dtype::float16, all(16), float16, random);
  check_dtype(kernel, Dtype::bfloat16, all(16), bfloat16, random);
  check_dtype(kernel, Dtype::float8_e4m3fn, all(8), e4m3fn, random);
  check_dtype(kernel, Dtype::float8_e4m3fnuz, all(8), e4m3fnuz, random);
  check_dtype(kernel, Dtype::float8_e5m2, all(8), e5m2, random);
  check_dtype(kernel, Dtype::float8_e5m2fnuz, all(8), e5m2fnuz, random);
}

void check_all(const pywts::Kernel& kernel, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  check_small_formats(kernel, random);
  check_dtype(kernel, Dtype::float8_e8m0fnu, all(8), e8m0fnu, random);
  {
    [[maybe_unused]] const FlushingToZero flushing;
    check_small_formats(kernel, random);
  }
  check_dtype(kernel, Dtype::boolean, all(8), boolean, random);
  check_dtype(kernel, Dtype::int8, all(8), integer<std::int8_t>, random);
  check_dtype(kernel, Dtype::uint8, all(8), integer<std::uint8_t>, random);
  check_dtype(kernel, Dtype::int16, all(16), integer<std::int16_t>, random);
  check_dtype(kernel, Dtype::uint16, all(16), integer<std::uint16_t>, random);
  const std::vector<std::uint64_t> whole = integers(random);
  check_dtype(kernel, Dtype::int32, whole, integer<std::int32_t>, random);
  check_dtype(kernel, Dtype::uint32, whole, integer<std::uint32_t>, random);
  check_dtype(kernel, Dtype::int64, whole, integer<std::int64_t>, random);
  check_dtype(kernel, Dtype::uint64, whole, integer<std::uint64_t>, random);
  check_dtype(
      kernel, Dtype::float32, whole, [](std::uint64_t value) { return static_cast<std::uint32_t>(value); }, random);
  check_dtype(kernel, Dtype::float64, doubles(random), float64, random);
  check_overflow(kernel);
  check_swap(kernel, random);
  const std::vector<std::uint32_t> floats = floats_about_halves(random);
  check_half(kernel, floats, random);
}

// The figures of the format's specification, by hand.
void check_examples(const pywts::Kernel& kernel) {
  struct Example {
    Dtype dtype;
    std::uint64_t value;
    std::uint32_t bits;
  };
  for (const Example& example :
       {Example{Dtype::float32, 0x7f800001, 0x7fc00001}, Example{Dtype::float16, 0x7c01, 0x7fc02000},
        Example{Dtype::float16, 0x0001, 0x33800000}, Example{Dtype::float16, 0x8000, 0x80000000},
        Example{Dtype::float16, 0x3c00, 0x3f800000}, Example{Dtype::float8_e4m3fn, 0x7f, 0x7ff00000},
        Example{Dtype::float8_e4m3fn, 0x7e, 0x43e00000}, Example{Dtype::float8_e5m2, 0x7d, 0x7fe00000},
        Example{Dtype::float8_e5m2fnuz, 0x80, 0x7fc00001}, Example{Dtype::float8_e8m0fnu, 0x00, 0x00400000},
        Example{Dtype::float8_e8m0fnu, 0x7f, 0x3f800000}, Example{Dtype::float8_e8m0fnu, 0xff, 0x7fc00001},
        Example{Dtype::int64, 1152921573326323713, 0x5d800000}, Example{Dtype::uint64, 1152921573326323713, 0x5d800000},
        Example{Dtype::uint64, ~std::uint64_t{0}, 0x5f800000}, Example{Dtype::int64, ~std::uint64_t{0}, 0xbf800000},
        Example{Dtype::boolean, 2, 0x3f800000}}) {
    check(kernel, example.dtype, {example.value}, [&](std::uint64_t) { return example.bits; });
    check(kernel, example.dtype, std::vector<std::uint64_t>(130, example.value),
          [&](std::uint64_t) { return example.bits; });
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t seed = argc > 1 ? std::stoull(argv[1]) : std::random_device{}();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  for (const pywts::Kernel* kernel : pywts::kernels()) {
    if (!kernel->supported()) {
      std::printf("SKIPPED kernel %s: this processor lacks it\n", kernel->name);
      continue;
    }
    check_examples(*kernel);
    check_all(*kernel, seed);
    std::printf("kernel %s checked\n", kernel->name);
  }
  return failures == 0 ? 0 : 1;
}
