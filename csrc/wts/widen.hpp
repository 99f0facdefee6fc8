// Any dtype to float32, chunk by chunk, bit for bit as NumPy and struct do it. docs/format.md has the rules.
#pragma once

#include <cstddef>
#include <cstdint>

#include "wts/dtype.hpp"
#include "wts/kernel.hpp"

namespace pywts {

// Widens `count` elements at `source` (any alignment, native byte order) to float32 bits. Signalling NaNs may stay
// signalling: the kernel quiets them. Returns `count`, or the index of the first value that float32 cannot hold (a
// finite float64 that overflows); the values before it are written. Source and bits do not overlap.
using Widen = std::size_t (*)(const std::byte* source, std::size_t count, std::uint32_t* bits) noexcept;

// `kernel` says which instructions may be used; the result is the same with each.
Widen widen(Dtype dtype, const Kernel& kernel = pywts::kernel()) noexcept;

// Reverses the bytes of each of `count` elements of `size` bytes in place.
void swap_bytes(std::byte* elements, std::size_t count, std::size_t size,
                const Kernel& kernel = pywts::kernel()) noexcept;

// Rounds float32 bits to float16 (nearest even, overflow to infinity) and back, in place, as `.half().float()` does.
void round_to_half(std::uint32_t* bits, std::size_t count, const Kernel& kernel = pywts::kernel()) noexcept;

// While one lives, this thread computes in the default floating-point environment: a caller that flushes subnormals
// to zero (torch.set_flush_denormal) or rounds otherwise does not change what is written.
class DefaultFloatEnvironment {
 public:
  DefaultFloatEnvironment() noexcept;
  ~DefaultFloatEnvironment();
  DefaultFloatEnvironment(const DefaultFloatEnvironment&) = delete;
  DefaultFloatEnvironment& operator=(const DefaultFloatEnvironment&) = delete;

 private:
  alignas(16) unsigned char saved_[64];
};

}  // namespace pywts
