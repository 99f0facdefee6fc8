// Whatever the bytes, every kernel of this processor gives what the scalar one gives: the text, the values of every
// dtype, the turned bytes, the rounded halves, the figures; and every way to a checksum that of the table.
//
// A libFuzzer target, and a test that its corpus passes (tests/corpus/kernels).
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "wts/checksum.hpp"
#include "wts/kernel.hpp"
#include "wts/statistics.hpp"
#include "wts/widen.hpp"

namespace {

using pywts::Kernel;
using pywts::kScalar;
using Bits = std::vector<std::uint32_t>;
using Bytes = std::vector<std::byte>;

void require(bool holds) {
  if (!holds) std::abort();
}

std::string encoded(const Kernel& kernel, const Bits& bits) {
  std::string text(bits.size() * pywts::kTextPerValue, '?');
  kernel.encode(bits.data(), bits.size(), text.data());
  return text;
}

Bits widened(const Kernel& kernel, pywts::Dtype dtype, const Bytes& bytes) {
  Bits bits(bytes.size() / pywts::info(dtype).size);
  bits.resize(pywts::widen(dtype, kernel)(bytes.data(), bits.size(), bits.data()));
  return bits;
}

// Signalling NaNs may stay so, or not: the kernel quiets them.
bool alike(const Bits& a, const Bits& b) { return a.size() == b.size() && encoded(kScalar, a) == encoded(kScalar, b); }

bool alike(const pywts::Statistics& a, const pywts::Statistics& b) {
  const auto same = [](auto x, auto y) { return std::memcmp(&x, &y, sizeof x) == 0; };
  return a.count == b.count && a.finite == b.finite && same(a.minimum, b.minimum) && same(a.maximum, b.maximum) &&
         same(a.mean, b.mean) && same(a.squares, b.squares) && a.zeros == b.zeros &&
         a.negative_zeros == b.negative_zeros && a.nans == b.nans && a.half_overflow == b.half_overflow &&
         a.half_underflow == b.half_underflow && a.half_subnormal == b.half_subnormal && a.exponents == b.exponents;
}

void check(const Kernel& kernel, const Bytes& bytes) {
  for (const pywts::DtypeInfo& known : pywts::kDtypes) {
    const Bits bits = widened(kScalar, known.dtype, bytes);
    require(alike(widened(kernel, known.dtype, bytes), bits));
    require(encoded(kernel, bits) == encoded(kScalar, bits));
    Bits halves = bits, others = bits;
    pywts::round_to_half(halves.data(), halves.size(), kScalar);
    pywts::round_to_half(others.data(), others.size(), kernel);
    require(alike(halves, others));
    pywts::Statistics sum, other;
    pywts::add(sum, bits.data(), bits.size(), kScalar);
    pywts::add(other, bits.data(), bits.size(), kernel);
    require(alike(sum, other));
  }
  for (const std::size_t size : {std::size_t{2}, std::size_t{4}, std::size_t{8}}) {
    Bytes turned = bytes, others = bytes;
    pywts::swap_bytes(turned.data(), bytes.size() / size, size, kScalar);
    pywts::swap_bytes(others.data(), bytes.size() / size, size, kernel);
    require(turned == others);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* first = reinterpret_cast<const std::byte*>(data);
  const Bytes bytes(first, first + size);
  for (const Kernel* kernel : pywts::kernels()) {
    if (kernel->supported()) check(*kernel, bytes);
  }
  const std::size_t cut = size == 0 ? 0 : data[0] % size;  // in two parts, so that the second begins anywhere
  for (const pywts::Checksum* way : pywts::checksum_ways()) {
    if (!way->supported()) continue;
    const auto update = [&](const pywts::Checksum& by) {
      return by.update(by.update(~std::uint32_t{0}, bytes.data(), cut), bytes.data() + cut, size - cut);
    };
    require(update(*way) == update(pywts::kTable));
  }
  return 0;
}
