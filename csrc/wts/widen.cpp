// A portable function says what one value of a dtype becomes; its loop is compiled for each instruction set of the
// kernels and vectorised by the compiler. By hand is only what has instructions of its own: float16, and float8 by
// VBMI.
#include "wts/widen.hpp"

#include <cfenv>
#include <cstring>
#include <new>

#include "wts/kernel.hpp"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

#if PYWTS_X86
#define PYWTS_AVX2 __attribute__((target("avx2,f16c")))
#define PYWTS_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define PYWTS_VBMI __attribute__((target("avx512f,avx512bw,avx512vbmi")))
#define PYWTS_VBMI_INLINE __attribute__((target("avx512f,avx512bw,avx512vbmi"), always_inline)) inline
#elif PYWTS_NEON
#include <arm_neon.h>
#endif

namespace pywts {
namespace {

template <class To, class From>
PYWTS_INLINE To bit_cast(From from) noexcept {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

template <class T>
PYWTS_INLINE T load(const std::byte* source, std::size_t index) noexcept {
  T value;
  std::memcpy(&value, source + index * sizeof value, sizeof value);
  return value;
}

constexpr std::uint32_t kSign = 0x80000000;
constexpr std::uint32_t kInfinity = 0x7f800000;
constexpr std::uint32_t kNaN = 0x7fc00001;  // of the formats that have a single one

// ------------------------------------------------------------------------------------- one value of each dtype

struct Float32 {
  using Source = std::uint32_t;
  static PYWTS_INLINE std::uint32_t bits(Source value) noexcept { return value; }
};

struct Bfloat16 {
  using Source = std::uint16_t;
  static PYWTS_INLINE std::uint32_t bits(Source value) noexcept { return std::uint32_t{value} << 16; }
};

// All ones if a < b, else zero; both are below 2^31. Masks and not conditions, of which a compiler would make branches
// that keep a loop from vectorising.
PYWTS_INLINE std::uint32_t less(std::uint32_t a, std::uint32_t b) noexcept { return 0 - ((a - b) >> 31); }

PYWTS_INLINE std::uint32_t select(std::uint32_t mask, std::uint32_t ones, std::uint32_t zeros) noexcept {
  return (ones & mask) | (zeros & ~mask);
}

// What the formats of 8 and 16 bits share, and the bits from kSpecial on made infinity and NaN. A subnormal becomes 2^k
// plus what it is, less 2^k: no operand and no result is a subnormal of float32, so a thread that flushes those to zero
// gets the same.
template <class Format>
PYWTS_INLINE std::uint32_t widen_small(std::uint32_t value) noexcept {
  constexpr std::uint32_t kShift = 23 - Format::kFraction;
  constexpr std::uint32_t kOne = std::uint32_t{1} << 23;  // in the exponent of a float32
  constexpr std::uint32_t kRebias = (127 - Format::kBias) * kOne;
  constexpr std::uint32_t kNegative = Format::kMagnitude + 1;
  const std::uint32_t magnitude = (value & Format::kMagnitude) << kShift;
  const float subnormal = bit_cast<float>(magnitude + kRebias + kOne) - bit_cast<float>(kRebias + kOne);
  const std::uint32_t finite = select(less(magnitude, kOne), bit_cast<std::uint32_t>(subnormal), magnitude + kRebias);
  const std::uint32_t special = kInfinity & ~less(magnitude, Format::kSpecial << kShift);
  return finite | special | (value & kNegative) * (kSign / kNegative);
}

struct Float16 {
  using Source = std::uint16_t;
  static constexpr std::uint32_t kMagnitude = 0x7fff, kSpecial = 0x7c00, kFraction = 10, kBias = 15;
  // A NaN becomes quiet, as it does where the processor has the conversion.
  static PYWTS_INLINE std::uint32_t bits(std::uint32_t value) noexcept {
    return widen_small<Float16>(value) | (0x00400000 & less(kSpecial, value & kMagnitude));
  }
};

struct Float8E5m2 {
  using Source = std::uint8_t;
  static constexpr std::uint32_t kMagnitude = 0x7f, kSpecial = 0x7c, kFraction = 2, kBias = 15;
  static PYWTS_INLINE std::uint32_t bits(std::uint32_t value) noexcept { return widen_small<Float8E5m2>(value); }
};

struct Float8E4m3fn {
  using Source = std::uint8_t;
  static constexpr std::uint32_t kMagnitude = 0x7f, kSpecial = 0x7f, kFraction = 3, kBias = 7;
  static PYWTS_INLINE std::uint32_t bits(std::uint32_t value) noexcept { return widen_small<Float8E4m3fn>(value); }
};

// Without infinity, and with one NaN in the place of the negative zero.
template <class Format>
PYWTS_INLINE std::uint32_t widen_fnuz(std::uint32_t value) noexcept {
  const std::uint32_t bits = widen_small<Format>(value);
  return bits == kSign ? kNaN : bits;
}

struct Float8E5m2fnuz {
  using Source = std::uint8_t;
  static constexpr std::uint32_t kMagnitude = 0x7f, kSpecial = 0x80, kFraction = 2, kBias = 16;
  static PYWTS_INLINE std::uint32_t bits(std::uint32_t value) noexcept { return widen_fnuz<Float8E5m2fnuz>(value); }
};

struct Float8E4m3fnuz {
  using Source = std::uint8_t;
  static constexpr std::uint32_t kMagnitude = 0x7f, kSpecial = 0x80, kFraction = 3, kBias = 8;
  static PYWTS_INLINE std::uint32_t bits(std::uint32_t value) noexcept { return widen_fnuz<Float8E4m3fnuz>(value); }
};

// A power of two: the exponent alone. The least is a subnormal of float32.
struct Float8E8m0fnu {
  using Source = std::uint8_t;
  static PYWTS_INLINE std::uint32_t bits(std::uint32_t value) noexcept {
    return (value << 23) | (value == 0 ? 0x00400000 : 0) | (value == 255 ? 0x00400001 : 0);
  }
};

struct Boolean {
  using Source = std::uint8_t;
  static PYWTS_INLINE std::uint32_t bits(Source value) noexcept { return value != 0 ? 0x3f800000 : 0; }
};

// Up to 32 bits: double holds them all, so that the way over it rounds once, as the direct one does.
template <class T>
struct Integer {
  using Source = T;
  static PYWTS_INLINE std::uint32_t bits(T value) noexcept {
    return bit_cast<std::uint32_t>(static_cast<float>(value));
  }
};

// 64 bits: rounded to double and then to float. Either half becomes a double by its place in the fraction of 2^84 or of
// 2^52, and only their sum rounds. (A cast does the same, but few vector units have it.)
template <bool is_signed>
struct Integer64 {
  using Source = std::uint64_t;
  static PYWTS_INLINE std::uint32_t bits(std::uint64_t value) noexcept {
    constexpr std::uint64_t kHigh = is_signed ? 0x4530000080000000 : 0x4530000000000000;
    constexpr std::uint64_t kLow = 0x4330000000000000;
    constexpr double kAdded = 0x1p84 + (is_signed ? 0x1p63 : 0) + 0x1p52;
    const double high = bit_cast<double>((value >> 32) ^ kHigh) - kAdded;
    const double low = bit_cast<double>((value & 0xffffffff) | kLow);
    return bit_cast<std::uint32_t>(static_cast<float>(high + low));
  }
};

// The same by the compiler, for a vector unit that has the cast.
template <class T>
struct Cast64 {
  using Source = T;
  static PYWTS_INLINE std::uint32_t bits(T value) noexcept {
    return bit_cast<std::uint32_t>(static_cast<float>(static_cast<double>(value)));
  }
};

// ------------------------------------------------------------------------------------- loops

template <class Element>
struct WidenLoop {
  static PYWTS_INLINE std::size_t run(const std::byte* __restrict source, std::size_t count,
                                      std::uint32_t* __restrict bits) noexcept {
    for (std::size_t i = 0; i < count; ++i) bits[i] = Element::bits(load<typename Element::Source>(source, i));
    return count;
  }
};

struct Float64Loop {
  static constexpr std::uint64_t kSign64 = 0x8000000000000000;
  static constexpr std::uint64_t kInfinity64 = 0x7ff0000000000000;
  static constexpr std::uint64_t kOverflow = 0x47effffff0000000;  // halfway from the greatest float to 2^128

  static PYWTS_INLINE std::uint32_t round(std::uint64_t value) noexcept {
    return bit_cast<std::uint32_t>(static_cast<float>(bit_cast<double>(value)));
  }

  static PYWTS_INLINE std::size_t run(const std::byte* __restrict source, std::size_t count,
                                      std::uint32_t* __restrict bits) noexcept {
    constexpr std::size_t kBlock = 64;
    std::size_t begin = 0;
    for (; begin + kBlock <= count; begin += kBlock) {
      std::uint32_t carry = 0;  // its sign is set if one of the results is infinity or NaN
      for (std::size_t i = begin; i < begin + kBlock; ++i) {
        bits[i] = round(load<std::uint64_t>(source, i));
        carry |= (bits[i] & ~kSign) + (kSign - kInfinity);
      }
      if ((carry & kSign) == 0) continue;
      const std::size_t end = one_by_one(source, begin, begin + kBlock, bits);
      if (end != begin + kBlock) return end;
    }
    return one_by_one(source, begin, count, bits);
  }

  // The index of the first value that overflows, or `end`. A NaN's bits are moved by hand: not every processor keeps
  // them in a conversion.
  static std::size_t one_by_one(const std::byte* source, std::size_t begin, std::size_t end,
                                std::uint32_t* bits) noexcept {
    for (std::size_t i = begin; i < end; ++i) {
      const auto value = load<std::uint64_t>(source, i);
      const std::uint64_t magnitude = value & ~kSign64;
      if (magnitude < kOverflow) {
        bits[i] = round(value);
      } else if (magnitude < kInfinity64) {
        return i;
      } else {
        const std::uint32_t quiet = magnitude > kInfinity64 ? 0x00400000 : 0;
        bits[i] = static_cast<std::uint32_t>(value >> 32 & kSign) | kInfinity | quiet |
                  static_cast<std::uint32_t>((magnitude - kInfinity64) >> 29);
      }
    }
    return end;
  }
};

template <class Element>
struct SwapLoop {
  static PYWTS_INLINE void run(std::byte* elements, std::size_t count) noexcept {
    for (std::size_t i = 0; i < count; ++i) {
      const auto value = load<Element>(elements, i);
      Element swapped = 0;
      for (std::size_t byte = 0; byte < sizeof value; ++byte) {
        swapped = static_cast<Element>(swapped | (value >> (8 * byte) & 0xff) << (8 * (sizeof value - 1 - byte)));
      }
      std::memcpy(elements + i * sizeof swapped, &swapped, sizeof swapped);
    }
  }
};

// As NumPy rounds to half: a NaN keeps its sign and its ten top bits, or becomes the least NaN if they are zero.
struct HalfLoop {
  static PYWTS_INLINE std::uint32_t round(std::uint32_t bits) noexcept {
    constexpr std::uint32_t kLeastNormal = 0x38800000, kOverflow = 0x477ff000, kUnit = 0x2000;
    const std::uint32_t magnitude = bits & ~kSign;
    // Below 2^-14 half has a fixed point: the sum with 0.5 rounds there.
    const float fixed = (bit_cast<float>(magnitude) + 0.5f) - 0.5f;
    const std::uint32_t normal = (magnitude + (kUnit / 2 - 1) + (magnitude / kUnit & 1)) & ~(kUnit - 1);
    const std::uint32_t nan = (magnitude & ~(kUnit - 1)) | (kUnit & less(magnitude, kInfinity + kUnit));
    std::uint32_t rounded = select(less(magnitude, kLeastNormal), bit_cast<std::uint32_t>(fixed), normal);
    rounded = select(less(magnitude, kOverflow), rounded, kInfinity);
    rounded = select(less(kInfinity, magnitude), nan, rounded);
    return rounded | (bits & kSign);
  }

  static PYWTS_INLINE void run(std::uint32_t* bits, std::size_t count) noexcept {
    for (std::size_t i = 0; i < count; ++i) bits[i] = round(bits[i]);
  }
};

// ------------------------------------------------------------------------------------- instruction sets

// A loop, compiled for each instruction set.
template <class Loop, class Function = decltype(Loop::run)>
struct Compiled;

template <class Loop, class Result, class... Arguments>
struct Compiled<Loop, Result(Arguments...) noexcept> {
  using Function = Result (*)(Arguments...) noexcept;

  static Result portable(Arguments... arguments) noexcept { return Loop::run(arguments...); }
#if PYWTS_X86
  PYWTS_AVX2 static Result avx2(Arguments... arguments) noexcept { return Loop::run(arguments...); }
  PYWTS_AVX512 static Result avx512(Arguments... arguments) noexcept { return Loop::run(arguments...); }
#endif

  static Function for_kernel([[maybe_unused]] const Kernel& kernel) noexcept {
#if PYWTS_X86
    if (&kernel == &kAvx512) return avx512;
    if (&kernel == &kAvx2) return avx2;
#endif
    return portable;
  }
};

// ------------------------------------------------------------------------------------- by hand

#if PYWTS_X86
PYWTS_AVX2 std::size_t widen_float16(const std::byte* source, std::size_t count, std::uint32_t* bits) noexcept {
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + 2 * i));
    _mm256_storeu_ps(reinterpret_cast<float*>(bits + i), _mm256_cvtph_ps(halves));
  }
  return i + WidenLoop<Float16>::run(source + 2 * i, count - i, bits + i);
}

PYWTS_AVX2 void round_to_half_and_back(std::uint32_t* bits, std::size_t count) noexcept {
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    float* const eight = reinterpret_cast<float*>(bits + i);
    const __m256 values = _mm256_loadu_ps(eight);
    if (_mm256_movemask_ps(_mm256_cmp_ps(values, values, _CMP_UNORD_Q)) != 0) {
      HalfLoop::run(bits + i, 8);  // the processor quiets a NaN before it drops the last bits; NumPy does not
    } else {
      _mm256_storeu_ps(eight, _mm256_cvtph_ps(_mm256_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT)));
    }
  }
  HalfLoop::run(bits + i, count - i);
}

// A float8 has 256 values, and the upper half of a float32 holds each, but for a NaN: two look-ups of bytes, 64 at
// once.
template <class Format>
struct UpperHalves {
  alignas(64) std::uint8_t high[256];
  alignas(64) std::uint8_t low[256];
  alignas(64) std::uint8_t order[64];  // undoes what unpacking does to the order
  std::uint8_t whole = 0;              // the value that has a lower half too, or 0 if none has

  UpperHalves() noexcept {
    for (std::uint32_t i = 0; i < 256; ++i) {
      const std::uint32_t bits = Format::bits(i);
      high[i] = static_cast<std::uint8_t>(bits >> 24);
      low[i] = static_cast<std::uint8_t>(bits >> 16);
      if ((bits & 0xffff) != 0) whole = static_cast<std::uint8_t>(i);
    }
    for (unsigned i = 0; i < 64; ++i) order[i] = static_cast<std::uint8_t>(i % 4 + i / 16 * 4 + i / 4 % 4 * 16);
  }
};

PYWTS_VBMI_INLINE __m512i look_up(const std::uint8_t* table, __m512i values) noexcept {
  const __m512i positive = _mm512_permutex2var_epi8(_mm512_load_si512(table), values, _mm512_load_si512(table + 64));
  const __m512i negative =
      _mm512_permutex2var_epi8(_mm512_load_si512(table + 128), values, _mm512_load_si512(table + 192));
  return _mm512_mask_blend_epi8(_mm512_movepi8_mask(values), positive, negative);
}

template <class Format>
PYWTS_VBMI std::size_t widen_float8(const std::byte* source, std::size_t count, std::uint32_t* bits) noexcept {
  static const UpperHalves<Format> upper;
  const __m512i zero = _mm512_setzero_si512();
  const __m512i whole = _mm512_set1_epi8(static_cast<char>(upper.whole));
  std::size_t i = 0;
  for (; i + 64 <= count; i += 64) {
    const __m512i values = _mm512_loadu_si512(source + i);
    if (upper.whole != 0 && _mm512_cmpeq_epi8_mask(values, whole) != 0) {
      WidenLoop<Format>::run(source + i, 64, bits + i);
      continue;
    }
    const __m512i ordered = _mm512_maskz_permutexvar_epi8(~__mmask64{0}, _mm512_load_si512(upper.order), values);
    const __m512i high = look_up(upper.high, ordered), low = look_up(upper.low, ordered);
    const __m512i first = _mm512_unpacklo_epi8(low, high), second = _mm512_unpackhi_epi8(low, high);
    _mm512_storeu_si512(bits + i, _mm512_unpacklo_epi16(zero, first));
    _mm512_storeu_si512(bits + i + 16, _mm512_unpackhi_epi16(zero, first));
    _mm512_storeu_si512(bits + i + 32, _mm512_unpacklo_epi16(zero, second));
    _mm512_storeu_si512(bits + i + 48, _mm512_unpackhi_epi16(zero, second));
  }
  return i + WidenLoop<Format>::run(source + i, count - i, bits + i);
}
#elif PYWTS_NEON
std::size_t widen_float16(const std::byte* source, std::size_t count, std::uint32_t* bits) noexcept {
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const uint8x8_t halves = vld1_u8(reinterpret_cast<const std::uint8_t*>(source + 2 * i));
    vst1q_u32(bits + i, vreinterpretq_u32_f32(vcvt_f32_f16(vreinterpret_f16_u8(halves))));
  }
  return i + WidenLoop<Float16>::run(source + 2 * i, count - i, bits + i);
}
#endif

template <class Element>
Widen loop(const Kernel& kernel) noexcept {
  return Compiled<WidenLoop<Element>>::for_kernel(kernel);
}

Widen float16(const Kernel& kernel) noexcept {
#if PYWTS_X86 || PYWTS_NEON
  if (&kernel != &kScalar) return widen_float16;
#endif
  return loop<Float16>(kernel);
}

template <class Format>
Widen float8(const Kernel& kernel) noexcept {
#if PYWTS_X86
  if (&kernel == &kAvx512) return widen_float8<Format>;
#endif
  return loop<Format>(kernel);
}

template <class T, bool is_signed>
Widen integer64(const Kernel& kernel) noexcept {
#if PYWTS_X86
  if (&kernel == &kAvx512) return Compiled<WidenLoop<Cast64<T>>>::avx512;
#endif
  return loop<Integer64<is_signed>>(kernel);
}

}  // namespace

Widen widen(Dtype dtype, const Kernel& kernel) noexcept {
  switch (dtype) {
    case Dtype::float32:
      return loop<Float32>(kernel);
    case Dtype::float16:
      return float16(kernel);
    case Dtype::bfloat16:
      return loop<Bfloat16>(kernel);
    case Dtype::float64:
      return Compiled<Float64Loop>::for_kernel(kernel);
    case Dtype::float8_e4m3fn:
      return float8<Float8E4m3fn>(kernel);
    case Dtype::float8_e4m3fnuz:
      return float8<Float8E4m3fnuz>(kernel);
    case Dtype::float8_e5m2:
      return float8<Float8E5m2>(kernel);
    case Dtype::float8_e5m2fnuz:
      return float8<Float8E5m2fnuz>(kernel);
    case Dtype::float8_e8m0fnu:
      return float8<Float8E8m0fnu>(kernel);
    case Dtype::int8:
      return loop<Integer<std::int8_t>>(kernel);
    case Dtype::int16:
      return loop<Integer<std::int16_t>>(kernel);
    case Dtype::int32:
      return loop<Integer<std::int32_t>>(kernel);
    case Dtype::int64:
      return integer64<std::int64_t, true>(kernel);
    case Dtype::uint8:
      return loop<Integer<std::uint8_t>>(kernel);
    case Dtype::uint16:
      return loop<Integer<std::uint16_t>>(kernel);
    case Dtype::uint32:
      return loop<Integer<std::uint32_t>>(kernel);
    case Dtype::uint64:
      return integer64<std::uint64_t, false>(kernel);
    case Dtype::boolean:
      return loop<Boolean>(kernel);
  }
  return nullptr;
}

void swap_bytes(std::byte* elements, std::size_t count, std::size_t size, const Kernel& kernel) noexcept {
  if (size == 2) Compiled<SwapLoop<std::uint16_t>>::for_kernel(kernel)(elements, count);
  if (size == 4) Compiled<SwapLoop<std::uint32_t>>::for_kernel(kernel)(elements, count);
  if (size == 8) Compiled<SwapLoop<std::uint64_t>>::for_kernel(kernel)(elements, count);
}

void round_to_half(std::uint32_t* bits, std::size_t count, const Kernel& kernel) noexcept {
#if PYWTS_X86
  if (&kernel != &kScalar) return round_to_half_and_back(bits, count);
#endif
  Compiled<HalfLoop>::for_kernel(kernel)(bits, count);
}

#if defined(__x86_64__) || defined(_M_X64)
// All of it that floats know there is the control register of SSE; the whole environment takes ten times as long.
DefaultFloatEnvironment::DefaultFloatEnvironment() noexcept {
  const unsigned control = _mm_getcsr();
  std::memcpy(saved_, &control, sizeof control);
  _mm_setcsr(0x1f80);
}

DefaultFloatEnvironment::~DefaultFloatEnvironment() {
  unsigned control;
  std::memcpy(&control, saved_, sizeof control);
  _mm_setcsr(control);
}
#else
DefaultFloatEnvironment::DefaultFloatEnvironment() noexcept {
  static_assert(sizeof(std::fenv_t) <= sizeof saved_ && alignof(std::fenv_t) <= alignof(DefaultFloatEnvironment));
  std::fegetenv(::new (saved_) std::fenv_t);
  std::fesetenv(FE_DFL_ENV);
}

DefaultFloatEnvironment::~DefaultFloatEnvironment() {
  std::fesetenv(std::launder(reinterpret_cast<const std::fenv_t*>(saved_)));
}
#endif

}  // namespace pywts
