// PMULL of 64-bit ARM: four times 16 bytes, folded over the next 64.
#include "wts/checksum.hpp"

#if PYWTS_NEON && defined(__linux__)

#include <arm_neon.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>

#include "wts/checksums/polynomial.hpp"

#define PYWTS_PMULL __attribute__((target("+crypto")))
#define PYWTS_PMULL_INLINE __attribute__((target("+crypto"), always_inline)) inline

namespace pywts {
namespace {

constexpr std::size_t kLanes = 4;

PYWTS_PMULL_INLINE uint64x2_t load(const std::byte* bytes) noexcept {
  return vreinterpretq_u64_u8(vld1q_u8(reinterpret_cast<const std::uint8_t*>(bytes)));
}

PYWTS_PMULL_INLINE uint64x2_t product(std::uint64_t a, std::uint64_t b) noexcept {
  return vreinterpretq_u64_p128(vmull_p64(static_cast<poly64_t>(a), static_cast<poly64_t>(b)));
}

PYWTS_PMULL_INLINE uint64x2_t folded(uint64x2_t lane, Fold by, uint64x2_t over) noexcept {
  const uint64x2_t first = product(vgetq_lane_u64(lane, 0), by.first);
  const uint64x2_t second = product(vgetq_lane_u64(lane, 1), by.second);
  return veorq_u64(veorq_u64(first, second), over);
}

PYWTS_PMULL std::uint32_t update(std::uint32_t state, const std::byte* bytes, std::size_t size) noexcept {
  if (size < 32) return kTable.update(state, bytes, size);
  constexpr Fold by_one = fold_over(128), by_four = fold_over(kLanes * 128);
  uint64x2_t lane = veorq_u64(load(bytes), vcombine_u64(vcreate_u64(state), vcreate_u64(0)));
  bytes += 16;
  size -= 16;
  if (size >= (2 * kLanes - 1) * 16) {
    uint64x2_t lanes[kLanes] = {lane, load(bytes), load(bytes + 16), load(bytes + 32)};
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
  vst1q_u8(reinterpret_cast<std::uint8_t*>(rest), vreinterpretq_u8_u64(lane));
  return kTable.update(kTable.update(0, rest, sizeof rest), bytes, size);
}

bool supported() noexcept { return (::getauxval(AT_HWCAP) & HWCAP_PMULL) != 0; }

}  // namespace

const Checksum kPmull = {"pmull", supported, update};

}  // namespace pywts

#endif
