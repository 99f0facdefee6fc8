// What the SIMD kernels share: a count of values cut into whole blocks, stores on their own alignment.
#pragma once

#include <cstddef>
#include <cstdint>

#include "wts/kernel.hpp"

namespace pywts {

// Encodes `blocks` whole blocks, each kValues values long.
using Run = void (*)(const std::uint32_t* bits, std::size_t blocks, char* text) noexcept;

// kValues, a power of two, is also the width of the kernel's stores in bytes: nine stores are a block's text.
// Where the text begins anywhere, the first block and the last are encoded where they lie, and overlap the aligned ones
// between them: the same bytes are written twice.
template <std::size_t kValues, Run run>
void encode_in_blocks(const std::uint32_t* bits, std::size_t count, char* text) noexcept {
  static_assert((kValues & (kValues - 1)) == 0 && kValues <= 64);
  if (count < kValues) return kScalar.encode(bits, count, text);
  // The number of values before the first aligned one: 9 * 57 is 1 modulo 64.
  const std::size_t before = (0 - reinterpret_cast<std::uintptr_t>(text)) * 57 % kValues;
  const std::size_t blocks = (count - before) / kValues;
  if (before != 0) run(bits, 1, text);
  run(bits + before, blocks, text + before * kTextPerValue);
  const std::size_t last = count - kValues;
  if (before + blocks * kValues != count) run(bits + last, 1, text + last * kTextPerValue);
}

}  // namespace pywts
