// AVX2: 32 values are 288 bytes, nine 32-byte stores.
#include "wts/kernel.hpp"

#if PYWTS_X86

#include <cpuid.h>
#include <immintrin.h>

#include <utility>

#include "wts/kernels/blocks.hpp"

#define PYWTS_AVX2 __attribute__((target("avx2")))
#define PYWTS_AVX2_INLINE __attribute__((target("avx2"), always_inline)) inline

namespace pywts {
namespace {

constexpr std::size_t kValues = 32;
constexpr std::size_t kStores = 9;

// Shuffles stay within 16 bytes, so each half of a store has its own load of four values: the last of them is the last
// that the half's 16 characters show, wholly or in part.
constexpr std::size_t first_value(std::size_t half) {
  const std::size_t last = (16 * half + 15) / kTextPerValue;
  return last < 3 ? 0 : last - 3;
}

struct Tables {
  alignas(32) std::uint8_t place[kStores][32];  // for each character the byte that holds its digit
  alignas(32) std::uint8_t low[kStores][32];    // 15 where it is the byte's low digit
  alignas(32) std::uint8_t high[kStores][32];   // 15 where it is the byte's high digit
  alignas(32) std::uint8_t space[kStores][32];  // what turns a '0' into a space
  alignas(32) std::uint8_t digits[32];
};

constexpr Tables make_tables() {
  Tables tables{};
  for (std::size_t i = 0; i < kStores * 32; ++i) {
    const std::size_t value = i / kTextPerValue, character = i % kTextPerValue;
    const std::size_t store = i / 32, lane = i % 32;
    if (character == 0) {
      tables.place[store][lane] = 0x80;  // a zero byte
      tables.space[store][lane] = '0' ^ ' ';
      continue;
    }
    const std::size_t byte = 4 * (value - first_value(i / 16)) + 3 - (character - 1) / 2;
    tables.place[store][lane] = static_cast<std::uint8_t>(byte);
    (character % 2 != 0 ? tables.high : tables.low)[store][lane] = 15;
  }
  for (std::size_t i = 0; i < 32; ++i) tables.digits[i] = static_cast<std::uint8_t>("0123456789abcdef"[i % 16]);
  return tables;
}

constexpr Tables kTables = make_tables();

PYWTS_AVX2_INLINE __m256i table(const std::uint8_t* row) noexcept {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(row));
}

PYWTS_AVX2_INLINE __m128i four(const std::uint32_t* bits) noexcept {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bits));
}

template <std::size_t store>
PYWTS_AVX2_INLINE void put(const std::uint32_t* bits, __m256i digits, char* text) noexcept {
  const __m256i values = _mm256_inserti128_si256(_mm256_castsi128_si256(four(bits + first_value(2 * store))),
                                                 four(bits + first_value(2 * store + 1)), 1);
  const __m256i bytes = _mm256_shuffle_epi8(values, table(kTables.place[store]));
  const __m256i low = _mm256_and_si256(bytes, table(kTables.low[store]));
  const __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), table(kTables.high[store]));
  const __m256i characters = _mm256_shuffle_epi8(digits, _mm256_or_si256(low, high));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(text + 32 * store),
                      _mm256_xor_si256(characters, table(kTables.space[store])));
}

template <std::size_t... store>
PYWTS_AVX2_INLINE void put_all(const std::uint32_t* bits, __m256i digits, char* text,
                               std::index_sequence<store...>) noexcept {
  (put<store>(bits, digits, text), ...);
}

PYWTS_AVX2_INLINE __m256 eight(const std::uint32_t* bits) noexcept {
  return _mm256_loadu_ps(reinterpret_cast<const float*>(bits));
}

PYWTS_AVX2_INLINE bool any_nan(const std::uint32_t* bits) noexcept {
  const __m256 first = _mm256_cmp_ps(eight(bits), eight(bits + 8), _CMP_UNORD_Q);
  const __m256 second = _mm256_cmp_ps(eight(bits + 16), eight(bits + 24), _CMP_UNORD_Q);
  return _mm256_movemask_ps(_mm256_or_ps(first, second)) != 0;
}

PYWTS_AVX2 void run(const std::uint32_t* bits, std::size_t blocks, char* text) noexcept {
  const __m256i digits = table(kTables.digits);
  for (; blocks != 0; --blocks, bits += kValues, text += kValues * kTextPerValue) {
    const std::uint32_t* source = bits;
    std::uint32_t quieted[kValues];
    if (__builtin_expect(any_nan(bits), 0)) {
      for (std::size_t i = 0; i < kValues; ++i) {
        quieted[i] = bits[i] | static_cast<std::uint32_t>((bits[i] & 0x7fffffff) > 0x7f800000) << 22;
      }
      source = quieted;
    }
    put_all(source, digits, text, std::make_index_sequence<kStores>());
  }
}

// F16C too, which widening relies on: every processor with AVX2 has it, but an emulator may not.
bool supported() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) != 0;
}

}  // namespace

const Kernel kAvx2 = {"avx2", supported, encode_in_blocks<kValues, run>};

}  // namespace pywts

#endif
