// VPCLMULQDQ on AVX-512: four times 64 bytes, folded over the next 256.
#include "wts/checksum.hpp"

#if PYWTS_X86

#include <immintrin.h>

#include "wts/checksums/polynomial.hpp"

#define PYWTS_VPCLMUL __attribute__((target("avx512f,vpclmulqdq")))
#define PYWTS_VPCLMUL_INLINE __attribute__((target("avx512f,vpclmulqdq"), always_inline)) inline

namespace pywts {
namespace {

constexpr std::size_t kLanes = 4;
constexpr std::size_t kLane = 64;  // bytes

PYWTS_VPCLMUL_INLINE __m512i constants(Fold fold) noexcept {
  const auto first = static_cast<long long>(fold.first), second = static_cast<long long>(fold.second);
  return _mm512_set_epi64(second, first, second, first, second, first, second, first);
}

PYWTS_VPCLMUL_INLINE __m512i folded(__m512i lane, __m512i by, __m512i over) noexcept {
  constexpr int kExclusiveOr = 0x96;
  const __m512i first = _mm512_clmulepi64_epi128(lane, by, 0x00), second = _mm512_clmulepi64_epi128(lane, by, 0x11);
  return _mm512_ternarylogic_epi64(first, second, over, kExclusiveOr);
}

PYWTS_VPCLMUL std::uint32_t update(std::uint32_t state, const std::byte* bytes, std::size_t size) noexcept {
  if (size < kLanes * kLane) return kPclmul.update(state, bytes, size);
  const __m512i by_one = constants(fold_over(8 * kLane)), by_four = constants(fold_over(kLanes * 8 * kLane));
  __m512i lanes[kLanes];
  for (std::size_t i = 0; i < kLanes; ++i) lanes[i] = _mm512_loadu_si512(bytes + kLane * i);
  lanes[0] = _mm512_xor_si512(lanes[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128(static_cast<int>(state))));
  bytes += kLanes * kLane;
  size -= kLanes * kLane;
  for (; size >= kLanes * kLane; size -= kLanes * kLane, bytes += kLanes * kLane) {
    for (std::size_t i = 0; i < kLanes; ++i) {
      lanes[i] = folded(lanes[i], by_four, _mm512_loadu_si512(bytes + kLane * i));
    }
  }
  __m512i lane = lanes[0];
  for (std::size_t i = 1; i < kLanes; ++i) lane = folded(lane, by_one, lanes[i]);
  for (; size >= kLane; size -= kLane, bytes += kLane) lane = folded(lane, by_one, _mm512_loadu_si512(bytes));
  std::byte rest[kLane];
  _mm512_storeu_si512(rest, lane);
  return kPclmul.update(kPclmul.update(0, rest, sizeof rest), bytes, size);
}

bool supported() noexcept {
  __builtin_cpu_init();
  return kPclmul.supported() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq");
}

}  // namespace

const Checksum kVpclmul = {"vpclmul", supported, update};

}  // namespace pywts

#endif
