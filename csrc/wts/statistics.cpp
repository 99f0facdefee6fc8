// Values go through in blocks that stay in the first cache. A block's mean and its squares about that mean are added to
// those of the blocks before it as Chan, Golub and LeVeque do it ("Updating formulae and a pairwise algorithm for
// computing sample variances", 1979): no large sums are subtracted from each other.
#include "wts/statistics.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include "wts/error.hpp"
#include "wts/kernel.hpp"
#include "wts/parallel.hpp"
#include "wts/widen.hpp"

#if PYWTS_X86
#define PYWTS_AVX2 __attribute__((target("avx2")))
#define PYWTS_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#endif

namespace pywts {
namespace {

constexpr std::size_t kBlock = 4096;  // values
constexpr std::size_t kLanes = 16;    // sums that run beside each other, the same with every instruction set

constexpr std::uint32_t kMagnitude = 0x7fffffff;
constexpr std::uint32_t kInfinity = 0x7f800000;
constexpr std::uint32_t kHalfInfinity = 0x477ff000;   // 65520: from here on float16 rounds to infinity
constexpr std::uint32_t kHalfZero = 0x33000000;       // 2^-25: up to here it rounds to zero
constexpr std::uint32_t kHalfSubnormal = 0x38800000;  // 2^-14: below, it has fewer digits

// A block of finite values.
struct Block {
  float minimum, maximum;
  double mean, squares;
};

PYWTS_INLINE float as_float(std::uint32_t bits) noexcept {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Loops over whole rows of lanes, which a compiler vectorises; what is left of a block goes to the first lanes.
template <class Step>
PYWTS_INLINE void by_lanes(std::size_t count, const Step& step) noexcept {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) step(lane, i + lane);
  }
  for (std::size_t lane = 0; i + lane < count; ++lane) step(lane, i + lane);
}

PYWTS_INLINE double total(const double* lanes) noexcept {
  double sum = 0;
  for (std::size_t lane = 0; lane < kLanes; ++lane) sum += lanes[lane];
  return sum;
}

PYWTS_INLINE Block summed(const float* values, std::size_t count) noexcept {
  float minimum[kLanes], maximum[kLanes];
  double sum[kLanes] = {};
  std::fill_n(minimum, kLanes, values[0]);
  std::fill_n(maximum, kLanes, values[0]);
  by_lanes(count, [&](std::size_t lane, std::size_t i) {
    minimum[lane] = values[i] < minimum[lane] ? values[i] : minimum[lane];
    maximum[lane] = values[i] > maximum[lane] ? values[i] : maximum[lane];
    sum[lane] += static_cast<double>(values[i]);
  });
  Block block{};
  block.mean = total(sum) / static_cast<double>(count);
  double squares[kLanes] = {};
  by_lanes(count, [&](std::size_t lane, std::size_t i) {
    const double off = static_cast<double>(values[i]) - block.mean;
    squares[lane] += off * off;
  });
  block.squares = total(squares);
  block.minimum = *std::min_element(minimum, minimum + kLanes);
  block.maximum = *std::max_element(maximum, maximum + kLanes);
  return block;
}

// How many values lie below bounds that a histogram of exponents does not have.
struct Counts {
  std::uint64_t zeros, negative_zeros, nans, special, overflow, underflow, subnormal;
};

PYWTS_INLINE Counts counted(const std::uint32_t* bits, std::size_t count) noexcept {
  std::uint32_t zeros = 0, negative_zeros = 0, nans = 0, special = 0, from_overflow = 0, to_zero = 0, small = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto magnitude = static_cast<std::int32_t>(bits[i] & kMagnitude);
    zeros += magnitude == 0;
    negative_zeros += bits[i] == ~kMagnitude;
    nans += magnitude > static_cast<std::int32_t>(kInfinity);
    special += magnitude >= static_cast<std::int32_t>(kInfinity);
    from_overflow += magnitude >= static_cast<std::int32_t>(kHalfInfinity);
    to_zero += magnitude <= static_cast<std::int32_t>(kHalfZero);
    small += magnitude < static_cast<std::int32_t>(kHalfSubnormal);
  }
  return {zeros, negative_zeros, nans, special, from_overflow - special, to_zero - zeros, small - to_zero};
}

struct Portable {
  static Block sum(const float* values, std::size_t count) noexcept { return summed(values, count); }
  static Counts counts(const std::uint32_t* bits, std::size_t count) noexcept { return counted(bits, count); }
};

#if PYWTS_X86
struct Avx2 {
  PYWTS_AVX2 static Block sum(const float* values, std::size_t count) noexcept { return summed(values, count); }
  PYWTS_AVX2 static Counts counts(const std::uint32_t* bits, std::size_t count) noexcept {
    return counted(bits, count);
  }
};

struct Avx512 {
  PYWTS_AVX512 static Block sum(const float* values, std::size_t count) noexcept { return summed(values, count); }
  PYWTS_AVX512 static Counts counts(const std::uint32_t* bits, std::size_t count) noexcept {
    return counted(bits, count);
  }
};
#endif

// Of a run of equal values each increment waits for the one before it, so neighbours go to tables of their own.
void add_exponents(std::array<std::uint64_t, 512>& exponents, const std::uint32_t* bits, std::size_t count) noexcept {
  constexpr std::size_t kTables = 4;
  std::uint32_t tables[kTables][512] = {};
  std::size_t i = 0;
  for (; i + kTables <= count; i += kTables) {
    for (std::size_t table = 0; table < kTables; ++table) ++tables[table][bits[i + table] >> 23];
  }
  for (; i < count; ++i) ++tables[0][bits[i] >> 23];
  for (std::size_t place = 0; place < exponents.size(); ++place) {
    for (const auto& table : tables) exponents[place] += table[place];
  }
}

// Copies the finite ones of `count` values, and tells how many they are.
std::size_t finite_ones(const std::uint32_t* bits, std::size_t count, float* values) noexcept {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < count; ++i) {
    values[kept] = as_float(bits[i]);
    kept += (bits[i] & kMagnitude) < kInfinity;
  }
  return kept;
}

template <class Instructions>
void add_blocks(Figures& sum, const std::uint32_t* bits, std::size_t count) noexcept {
  alignas(64) float values[kBlock];
  for (std::size_t at = 0; at < count; at += kBlock) {
    const std::size_t size = std::min(kBlock, count - at);
    const Counts counts = Instructions::counts(bits + at, size);
    std::size_t finite = size;
    if (counts.special == 0) {
      std::memcpy(values, bits + at, size * sizeof *values);
    } else {
      finite = finite_ones(bits + at, size, values);
    }
    Figures part;
    part.count = size;
    part.finite = finite;
    part.zeros = counts.zeros;
    part.negative_zeros = counts.negative_zeros;
    part.nans = counts.nans;
    part.half_overflow = counts.overflow;
    part.half_underflow = counts.underflow;
    part.half_subnormal = counts.subnormal;
    if (finite > 0) {
      const Block block = Instructions::sum(values, finite);
      part.minimum = block.minimum;
      part.maximum = block.maximum;
      part.mean = block.mean;
      part.squares = block.squares;
    }
    sum.join(part);
  }
}

Statistics of_one(const Values& values, std::uint32_t* bits, Workspace& workspace) {
  Statistics sum;
  const std::uint64_t size = values.size(), part = values.part();
  const Kernel& kernel = pywts::kernel();
  try {
    for (std::uint64_t begin = 0; begin < size; begin += part) {
      const std::uint64_t end = std::min(size, begin + part);
      const auto count = static_cast<std::size_t>(end - begin);
      read(values, begin, end, bits, workspace);
      add(sum, bits, count, kernel);
      if (begin == 0) std::copy_n(bits, std::min(Statistics::kShown, count), sum.first.begin());
      if (end == size) {
        // A last part that is too short is completed from the one before it.
        const auto shown = static_cast<std::size_t>(std::min<std::uint64_t>(Statistics::kShown, size));
        if (count < shown) read(values, size - shown, size, bits, workspace);
        std::copy_n(bits + (count < shown ? 0 : count - shown), shown, sum.last.begin());
      }
    }
  } catch (const Error& error) {
    if (error.code != Code::overflow) throw;
    sum = {};
    sum.overflow = error.index;
  }
  return sum;
}

}  // namespace

void Figures::join(const Figures& other) noexcept {
  if (other.finite > 0) {
    minimum = finite > 0 ? std::min(minimum, other.minimum) : other.minimum;
    maximum = finite > 0 ? std::max(maximum, other.maximum) : other.maximum;
    const auto ours = static_cast<double>(finite), theirs = static_cast<double>(other.finite);
    const double apart = other.mean - mean;
    mean += apart * (theirs / (ours + theirs));
    squares += other.squares + apart * apart * (ours * theirs / (ours + theirs));
    finite += other.finite;
  }
  count += other.count;
  zeros += other.zeros;
  negative_zeros += other.negative_zeros;
  nans += other.nans;
  half_overflow += other.half_overflow;
  half_underflow += other.half_underflow;
  half_subnormal += other.half_subnormal;
}

void add(Statistics& sum, const std::uint32_t* bits, std::size_t count, const Kernel& kernel) noexcept {
  const DefaultFloatEnvironment environment;
  add_exponents(sum.exponents, bits, count);
#if PYWTS_X86
  if (&kernel == &kAvx512) return add_blocks<Avx512>(sum, bits, count);
  if (&kernel == &kAvx2) return add_blocks<Avx2>(sum, bits, count);
#else
  (void)kernel;
#endif
  add_blocks<Portable>(sum, bits, count);
}

std::vector<Statistics> statistics(const std::vector<const Values*>& all) {
  std::uint64_t values = 0, longest = 0;
  for (const Values* each : all) {
    values += each->size();
    longest = std::max(longest, std::min(each->size(), std::max<std::uint64_t>(each->part(), Statistics::kShown)));
  }
  std::vector<Statistics> found(all.size());
  in_parallel(values, all.size(), [&](std::atomic<std::size_t>& next) {
    Workspace workspace;
    const auto bits = std::make_unique<std::uint32_t[]>(static_cast<std::size_t>(longest));
    for (std::size_t i; (i = next++) < all.size();) found[i] = of_one(*all[i], bits.get(), workspace);
  });
  return found;
}

}  // namespace pywts
