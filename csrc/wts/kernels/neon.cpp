// NEON, which every little-endian 64-bit ARM has: 16 values are 144 bytes, nine 16-byte stores.
#include "wts/kernel.hpp"

#if PYWTS_NEON

#include <arm_neon.h>

#include <utility>

#include "wts/kernels/blocks.hpp"

namespace pywts {
namespace {

constexpr std::size_t kValues = 16;
constexpr std::size_t kStores = 9;

// A store's 16 characters show at most three values; its load of four ends with the last of them.
constexpr std::size_t first_value(std::size_t store) {
  const std::size_t last = (16 * store + 15) / kTextPerValue;
  return last < 3 ? 0 : last - 3;
}

struct Tables {
  std::uint8_t place[kStores][16];  // for each character the byte that holds its digit
  std::int8_t shift[kStores][16];   // -4 where it is the byte's high digit
  std::uint8_t space[kStores][16];  // 16 where it is a space: no digit, so the look-up leaves what was there
};

constexpr Tables make_tables() {
  Tables tables{};
  for (std::size_t i = 0; i < kStores * 16; ++i) {
    const std::size_t value = i / kTextPerValue, character = i % kTextPerValue;
    const std::size_t store = i / 16, lane = i % 16;
    if (character == 0) {
      tables.space[store][lane] = 16;
      continue;
    }
    tables.place[store][lane] = static_cast<std::uint8_t>(4 * (value - first_value(store)) + 3 - (character - 1) / 2);
    tables.shift[store][lane] = character % 2 != 0 ? -4 : 0;
  }
  return tables;
}

constexpr Tables kTables = make_tables();
constexpr char kDigits[] = "0123456789abcdef";

template <std::size_t store>
inline void put(const std::uint32_t* bits, uint8x16_t digits, char* text) noexcept {
  const uint8x16_t values = vreinterpretq_u8_u32(vld1q_u32(bits + first_value(store)));
  const uint8x16_t bytes = vqtbl1q_u8(values, vld1q_u8(kTables.place[store]));
  const uint8x16_t shifted = vshlq_u8(bytes, vld1q_s8(kTables.shift[store]));
  const uint8x16_t places = vbslq_u8(vdupq_n_u8(15), shifted, vld1q_u8(kTables.space[store]));
  vst1q_u8(reinterpret_cast<std::uint8_t*>(text + 16 * store), vqtbx1q_u8(vdupq_n_u8(' '), digits, places));
}

template <std::size_t... store>
inline void put_all(const std::uint32_t* bits, uint8x16_t digits, char* text, std::index_sequence<store...>) noexcept {
  (put<store>(bits, digits, text), ...);
}

inline uint32x4_t ordered(const std::uint32_t* bits) noexcept {
  const float32x4_t values = vreinterpretq_f32_u32(vld1q_u32(bits));
  return vceqq_f32(values, values);
}

inline bool any_nan(const std::uint32_t* bits) noexcept {
  const uint32x4_t first = vandq_u32(ordered(bits), ordered(bits + 4));
  const uint32x4_t second = vandq_u32(ordered(bits + 8), ordered(bits + 12));
  return vminvq_u32(vandq_u32(first, second)) == 0;
}

void run(const std::uint32_t* bits, std::size_t blocks, char* text) noexcept {
  const uint8x16_t digits = vld1q_u8(reinterpret_cast<const std::uint8_t*>(kDigits));
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

bool supported() noexcept { return true; }

}  // namespace

const Kernel kNeon = {"neon", supported, encode_in_blocks<kValues, run>};

}  // namespace pywts

#endif
