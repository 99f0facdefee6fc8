// AVX-512 with VBMI: 64 values are 576 bytes, nine 64-byte stores.
#include "wts/kernel.hpp"

#if PYWTS_X86

#include <immintrin.h>

#include "wts/kernels/blocks.hpp"

#define PYWTS_AVX512 __attribute__((target("avx512f,avx512bw,avx512vbmi")))
#define PYWTS_AVX512_INLINE __attribute__((target("avx512f,avx512bw,avx512vbmi"), always_inline)) inline

namespace pywts {
namespace {

constexpr std::size_t kValues = 64;
constexpr std::size_t kStores = 9;

// Two stores show parts of at most 15 values. So the values come as five windows of 16, one every 14, two stores a
// window (the last one has eight values and one store), and byte 60 of each window is free: it holds the space.
constexpr std::size_t kStep = 14;
constexpr std::size_t kFree = 60;

struct Tables {
  // For each character the byte that holds its digit: bytes 0 to 63 are the window with the low digits, 64 to 127 the
  // one with the high digits.
  alignas(64) std::uint8_t place[kStores][64];
  alignas(64) std::uint8_t space[64];       // 16, the space's place in the next table
  alignas(64) std::uint8_t characters[64];  // 16 digits, 16 spaces, and again
};

constexpr Tables make_tables() {
  Tables tables{};
  for (std::size_t i = 0; i < kStores * 64; ++i) {
    const std::size_t value = i / kTextPerValue, character = i % kTextPerValue, store = i / 64;
    std::size_t byte = kFree;
    if (character != 0) byte = 4 * (value - kStep * (store / 2)) + 3 - (character - 1) / 2;
    if (character % 2 != 0) byte += 64;
    tables.place[store][i % 64] = static_cast<std::uint8_t>(byte);
  }
  for (std::size_t i = 0; i < 64; ++i) {
    tables.space[i] = i == kFree ? 16 : 0;
    tables.characters[i] = static_cast<std::uint8_t>((i & 16) != 0 ? ' ' : "0123456789abcdef"[i % 16]);
  }
  return tables;
}

constexpr Tables kTables = make_tables();

PYWTS_AVX512_INLINE __m512i table(const std::uint8_t* row) noexcept { return _mm512_load_si512(row); }

PYWTS_AVX512_INLINE __m512 quiet(__m512 values) noexcept {
  const __mmask16 nan = _mm512_cmp_ps_mask(values, values, _CMP_UNORD_Q);
  const __m512i bits = _mm512_castps_si512(values);
  return _mm512_castsi512_ps(_mm512_mask_or_epi32(bits, nan, bits, _mm512_set1_epi32(1 << 22)));
}

PYWTS_AVX512_INLINE void put(__m512i low, __m512i high, const std::uint8_t* place, char* text) noexcept {
  const __m512i digits = _mm512_permutex2var_epi8(low, table(place), high);
  // With a mask that keeps all: GCC 12 warns of its own header where there is none.
  const __m512i characters = _mm512_maskz_permutexvar_epi8(~__mmask64{0}, digits, table(kTables.characters));
  _mm512_storeu_si512(text, characters);
}

template <std::size_t window>
PYWTS_AVX512_INLINE void put(__m512 values, char* text) noexcept {
  constexpr std::size_t store = 2 * window;
  const __m512i bits = _mm512_castps_si512(values);
  const __m512i digit = _mm512_set1_epi8(15);
  const __m512i low = _mm512_ternarylogic_epi64(bits, digit, table(kTables.space), 0xea);  // bits & digit | space
  const __m512i high = _mm512_and_si512(_mm512_srli_epi16(bits, 4), digit);
  put(low, high, kTables.place[store], text + 64 * store);
  if constexpr (store + 1 < kStores) put(low, high, kTables.place[store + 1], text + 64 * (store + 1));
}

PYWTS_AVX512 void run(const std::uint32_t* bits, std::size_t blocks, char* text) noexcept {
  for (; blocks != 0; --blocks, bits += kValues, text += kValues * kTextPerValue) {
    __m512 a = _mm512_loadu_ps(bits);
    __m512 b = _mm512_loadu_ps(bits + kStep);
    __m512 c = _mm512_loadu_ps(bits + 2 * kStep);
    __m512 d = _mm512_loadu_ps(bits + 3 * kStep);
    __m512 e = _mm512_maskz_loadu_ps(0xff, bits + 4 * kStep);
    const __mmask16 nan = _mm512_cmp_round_ps_mask(a, b, _CMP_UNORD_Q, _MM_FROUND_NO_EXC) |
                          _mm512_cmp_round_ps_mask(c, d, _CMP_UNORD_Q, _MM_FROUND_NO_EXC) |
                          _mm512_cmp_round_ps_mask(e, e, _CMP_UNORD_Q, _MM_FROUND_NO_EXC);
    if (__builtin_expect(nan != 0, 0)) {
      a = quiet(a), b = quiet(b), c = quiet(c), d = quiet(d), e = quiet(e);
    }
    put<0>(a, text);
    put<1>(b, text);
    put<2>(c, text);
    put<3>(d, text);
    put<4>(e, text);
  }
}

// DQ and VL too, which widening relies on, and what it needs of AVX2; every processor with VBMI has them all.
bool supported() noexcept {
  return kAvx2.supported() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vbmi");
}

}  // namespace

const Kernel kAvx512 = {"avx512", supported, encode_in_blocks<kValues, run>};

}  // namespace pywts

#endif
