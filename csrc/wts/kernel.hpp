// Kernels: float32 bits to the text of a .wts, one file an instruction set, one table, best first.
#pragma once

#include <cstddef>
#include <cstdint>

// The instruction sets of this build. Functions name theirs in a target attribute; no file is compiled with -m flags.
#if defined(__GNUC__) && defined(__x86_64__)
#define PYWTS_X86 1
#elif defined(__GNUC__) && defined(__aarch64__) && defined(__ARM_NEON) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define PYWTS_NEON 1
#endif

// Of what is written once and compiled for each instruction set by those who call it.
#if defined(_MSC_VER)
#define PYWTS_INLINE __forceinline
#else
#define PYWTS_INLINE __attribute__((always_inline)) inline
#endif

namespace pywts {

inline constexpr std::size_t kTextPerValue = 9;  // a space and eight hex digits

struct Kernel {
  const char* name;
  // Whether this processor (and this operating system) can run it.
  bool (*supported)() noexcept;
  // Writes exactly 9 * count bytes: for each value a space, then the 8 lower-case hex digits of its bits, most
  // significant first. A signalling NaN is quieted (bit 22 set; sign and payload stay), as every float conversion of
  // the reference does. `bits` needs no alignment beyond 4 bytes, `text` none; they do not overlap.
  void (*encode)(const std::uint32_t* bits, std::size_t count, char* text) noexcept;
};

#if PYWTS_X86
extern const Kernel kAvx512, kAvx2;
#elif PYWTS_NEON
extern const Kernel kNeon;
#endif
extern const Kernel kScalar;

struct KernelList {
  const Kernel* const* data;
  std::size_t size;
  const Kernel* const* begin() const noexcept { return data; }
  const Kernel* const* end() const noexcept { return data + size; }
};

// All kernels of this build, best first. The last is scalar, which every processor runs.
KernelList kernels() noexcept;

// The kernel in use: the first supported one, or the one that the environment variable PYWTS_KERNEL names.
// Chosen once; throws Error{unknown_kernel | missing_kernel} for a name that cannot be had (again on every call).
const Kernel& kernel();

}  // namespace pywts
