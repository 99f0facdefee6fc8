// Whatever the bytes, every kernel of this processor gives what the scalar one gives: the text of values, the values of
// a text, those of every dtype, the turned bytes, the rounded halves, the figures; and every way to a checksum gives
// that of the table.
//
// An input does one thing, which its first bytes choose, so that there are many in a second:
//   0: the job   1: the kernel, or the way to a checksum   2: where the output begins, or what is cut or changed
//   3: the dtype, or more of 2                             4 to the end: what the job is done to
//
// A libFuzzer target, and a test that its corpus passes (tests/corpus/kernels).
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <new>
#include <vector>

#include "wts.hpp"
#include "wts/checksum.hpp"
#include "wts/kernel.hpp"
#include "wts/statistics.hpp"
#include "wts/widen.hpp"

namespace {

using pywts::Kernel;
using pywts::kScalar;
using pywts::kTextPerValue;

void require(bool holds) {
  if (!holds) std::abort();
}

// What a kernel writes to: exactly as large as it may be, so that AddressSanitizer sees a byte beyond, and at any place
// of a cache line.
template <class T>
class Output {
 public:
  explicit Output(std::size_t count, std::size_t place = 0)
      : before_(place % kLine / sizeof(T) * sizeof(T)),
        memory_(static_cast<unsigned char*>(::operator new (before_ + count * sizeof(T), std::align_val_t{kLine}))),
        count_(count) {
    std::memset(memory_, kUntouched, before_ + count * sizeof(T));
  }
  ~Output() {
    for (std::size_t i = 0; i < before_; ++i) require(memory_[i] == kUntouched);
    ::operator delete (memory_, std::align_val_t{kLine});
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  T* data() noexcept { return reinterpret_cast<T*>(memory_ + before_); }
  std::size_t size() const noexcept { return count_; }
  T& operator[](std::size_t i) noexcept { return data()[i]; }

 private:
  static constexpr std::size_t kLine = 64;
  static constexpr unsigned char kUntouched = 0xa5;
  std::size_t before_;
  unsigned char* memory_;
  std::size_t count_;
};

using Bits = Output<std::uint32_t>;
using Text = Output<char>;

struct Input {
  unsigned char job, kernel, place, detail;
  const std::byte* bytes;
  std::size_t size;

  std::size_t values() const noexcept { return size / sizeof(std::uint32_t); }
  const std::uint32_t* bits() const noexcept { return reinterpret_cast<const std::uint32_t*>(bytes); }
};

const Kernel& kernel_of(const Input& input) {
  static const std::vector<const Kernel*> here = [] {
    std::vector<const Kernel*> supported;
    for (const Kernel* each : pywts::kernels()) {
      if (each->supported()) supported.push_back(each);
    }
    return supported;
  }();
  return *here[input.kernel % here.size()];
}

const wts::kernel& decoder_of(const Input& input) {
  static const std::vector<const wts::kernel*> here = [] {
    std::vector<const wts::kernel*> supported;
    for (const wts::kernel& each : wts::kernels()) {
      if (each.supported()) supported.push_back(&each);
    }
    return supported;
  }();
  return *here[input.kernel % here.size()];
}

// Signalling NaNs may stay so, or not: the kernel quiets them.
std::uint32_t quiet(std::uint32_t bits) { return (bits & 0x7fffffff) > 0x7f800000 ? bits | 0x00400000 : bits; }

bool alike(Bits& a, Bits& b, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    if (quiet(a[i]) != quiet(b[i])) return false;
  }
  return true;
}

// A text is sound for every decoder or for none, and where it is, its values are the same. Both get room for them.
void decode_alike(const wts::kernel& decoder, const char* text, std::size_t count, Bits& values, Bits& others) {
  const std::size_t size = count * kTextPerValue;
  const bool sound = wts::first_wrong({text, size}) == size;
  require(decoder.decode(text, count, reinterpret_cast<float*>(values.data())) == sound);
  require(wts::detail::decode_scalar(text, count, reinterpret_cast<float*>(others.data())) == sound);
  if (sound) require(std::equal(values.data(), values.data() + count, others.data()));
}

// --- The jobs.

void encode(const Input& input) {
  const std::size_t count = input.values();
  Text text(count * kTextPerValue, input.place), other(count * kTextPerValue);
  kernel_of(input).encode(input.bits(), count, text.data());
  kScalar.encode(input.bits(), count, other.data());
  require(std::equal(text.data(), text.data() + text.size(), other.data()));
}

// What was encoded is decoded again, and then with any other character in one place.
void decode_encoded(const Input& input) {
  const std::size_t count = std::min<std::size_t>(input.values(), 50);  // some blocks of every kernel and a rest
  Text text(count * kTextPerValue);
  kernel_of(input).encode(input.bits(), count, text.data());
  Bits values(count), others(count);
  require(decoder_of(input).decode(text.data(), count, reinterpret_cast<float*>(values.data())));
  for (std::size_t i = 0; i < count; ++i) require(values[i] == quiet(input.bits()[i]));
  if (count == 0) return;
  char& changed = text[(std::size_t{input.place} << 8 | input.detail) % text.size()];
  for (int character = 0; character < 256; ++character) {
    changed = static_cast<char>(character);
    decode_alike(decoder_of(input), text.data(), count, values, others);
  }
}

void decode_anything(const Input& input) {
  const std::size_t count = input.size / kTextPerValue;
  Bits values(count), others(count);
  decode_alike(decoder_of(input), reinterpret_cast<const char*>(input.bytes), count, values, others);
}

void widen(const Input& input) {
  const pywts::DtypeInfo& dtype = pywts::kDtypes[input.detail % std::size(pywts::kDtypes)];
  const std::size_t skipped = std::min<std::size_t>(input.place % 8, input.size);  // any alignment
  const std::size_t count = (input.size - skipped) / dtype.size;
  Bits bits(count, input.place), others(count);
  const auto done = pywts::widen(dtype.dtype, kernel_of(input))(input.bytes + skipped, count, bits.data());
  require(done == pywts::widen(dtype.dtype, kScalar)(input.bytes + skipped, count, others.data()));
  require(alike(bits, others, done));
}

void round_to_half(const Input& input) {
  const std::size_t count = input.values();
  Bits bits(count, input.place), others(count);
  std::copy_n(input.bits(), count, bits.data());
  std::copy_n(input.bits(), count, others.data());
  pywts::round_to_half(bits.data(), count, kernel_of(input));
  pywts::round_to_half(others.data(), count, kScalar);
  require(alike(bits, others, count));
}

void swap_bytes(const Input& input) {
  const std::size_t size = std::size_t{2} << input.detail % 3;
  Output<std::byte> bytes(input.size, input.place), others(input.size);
  std::copy_n(input.bytes, input.size, bytes.data());
  std::copy_n(input.bytes, input.size, others.data());
  pywts::swap_bytes(bytes.data(), input.size / size, size, kernel_of(input));
  pywts::swap_bytes(others.data(), input.size / size, size, kScalar);
  require(std::equal(bytes.data(), bytes.data() + input.size, others.data()));
}

// In two parts, so that the second begins anywhere.
void statistics(const Input& input) {
  const std::size_t count = input.values(), cut = count == 0 ? 0 : input.place % count;
  const auto sum = [&](const Kernel& kernel) {
    pywts::Statistics sum;
    pywts::add(sum, input.bits(), cut, kernel);
    pywts::add(sum, input.bits() + cut, count - cut, kernel);
    return sum;
  };
  const pywts::Statistics a = sum(kernel_of(input)), b = sum(kScalar);
  const auto same = [](auto x, auto y) { return std::memcmp(&x, &y, sizeof x) == 0; };
  require(a.count == b.count && a.finite == b.finite && same(a.minimum, b.minimum) && same(a.maximum, b.maximum));
  require(same(a.mean, b.mean) && same(a.squares, b.squares) && a.zeros == b.zeros && a.nans == b.nans);
  require(a.negative_zeros == b.negative_zeros && a.exponents == b.exponents && a.half_overflow == b.half_overflow);
  require(a.half_underflow == b.half_underflow && a.half_subnormal == b.half_subnormal);
}

void checksum(const Input& input) {
  static const std::vector<const pywts::Checksum*> here = [] {
    std::vector<const pywts::Checksum*> supported;
    for (const pywts::Checksum* each : pywts::checksum_ways()) {
      if (each->supported()) supported.push_back(each);
    }
    return supported;
  }();
  const std::size_t cut = input.size == 0 ? 0 : (std::size_t{input.place} << 8 | input.detail) % input.size;
  const auto update = [&](const pywts::Checksum& by) {
    return by.update(by.update(~std::uint32_t{0}, input.bytes, cut), input.bytes + cut, input.size - cut);
  };
  require(update(*here[input.kernel % here.size()]) == update(pywts::kTable));
}

constexpr void (*kJobs[])(const Input&) = {encode,        decode_encoded, decode_anything, widen,
                                           round_to_half, swap_bytes,     statistics,      checksum};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kHead = 4;  // so that what follows lies as the values of a tensor do
  if (size < kHead) return 0;
  const auto* rest = reinterpret_cast<const std::byte*>(data + kHead);
  const Input input{data[0], data[1], data[2], data[3], rest, size - kHead};
  kJobs[input.job % std::size(kJobs)](input);
  return 0;
}
