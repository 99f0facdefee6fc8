// PCLMULQDQ: four times 16 bytes, folded over the next 64 by multiplication without carries.
#include "wts/checksum.hpp"

#if PYWTS_X86

#include <immintrin.h>

#include "wts/checksums/polynomial.hpp"

#define PYWTS_PCLMUL __attribute__((target("pclmul,sse4.1")))
#define PYWTS_PCLMUL_INLINE __attribute__((target("pclmul,sse4.1"), always_inline)) inline

namespace pywts {
namespace {

constexpr std::size_t kLanes = 4;

PYWTS_PCLMUL_INLINE __m128i load(const std::byte* bytes) noexcept {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
}

PYWTS_PCLMUL_INLINE __m128i constants(Fold fold) noexcept {
  return _mm_set_epi64x(static_cast<long long>(fold.second), static_cast<long long>(fold.first));
}

PYWTS_PCLMUL_INLINE __m128i folded(__m128i lane, __m128i by, __m128i over) noexcept {
  const __m128i first = _mm_clmulepi64_si128(lane, by, 0x00), second = _mm_clmulepi64_si128(lane, by, 0x11);
  return _mm_xor_si128(_mm_xor_si128(first, second), over);
}

PYWTS_PCLMUL std::uint32_t update(std::uint32_t state, const std::byte* bytes, std::size_t size) noexcept {
  if (size < 32) return kTable.update(state, bytes, size);
  const __m128i by_one = constants(fold_over(128)), by_four = constants(fold_over(kLanes * 128));
  __m128i lane = _mm_xor_si128(load(bytes), _mm_cvtsi32_si128(static_cast<int>(state)));
  bytes += 16;
  size -= 16;
  if (size >= (2 * kLanes - 1) * 16) {
    __m128i lanes[kLanes] = {lane, load(bytes), load(bytes + 16), load(bytes + 32)};
    bytes += (kLanes - 1) * 16;
    size -= (kLanes - 1) * 16;
    for (; size >= kLanes * 16; size -= kLanes * 16, bytes += kLanes * 16) {
      for (std::size_t i = 0; i < kLanes; ++i) lanes[i] = folded(lanes[i], by_four, load(bytes + 16 * i));
    }
    lane = lanes[0];
    for (std::size_t i = 1; i < kLanes; ++i) lane = folded(lane, by_one, lanes[i]);
  }
  for (; size >= 16; size -= 16, bytes += 16) lane = folded(lane, by_one, load(bytes));
  std::byte rest[16];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(rest), lane);
  return kTable.update(kTable.update(0, rest, sizeof rest), bytes, size);
}

bool supported() noexcept {
  __builtin_cpu_init();
  return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}

}  // namespace

const Checksum kPclmul = {"pclmul", supported, update};

}  // namespace pywts

#endif
