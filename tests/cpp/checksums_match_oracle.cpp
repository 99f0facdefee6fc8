// Every way to a CRC-32 gives what a bit-by-bit oracle gives: all lengths, any alignment, any split into parts,
// whatever order the parts come in.
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include "wts/checksum.hpp"

namespace {

int failures = 0;

std::uint32_t oracle(std::uint32_t state, const std::byte* bytes, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    state ^= std::to_integer<std::uint32_t>(bytes[i]);
    for (int bit = 0; bit < 8; ++bit) state = (state >> 1) ^ ((state & 1) != 0 ? 0xedb88320u : 0);
  }
  return state;
}

void expect(std::uint32_t found, std::uint32_t expected, const char* what, std::size_t size, std::size_t more) {
  if (found == expected) return;
  std::printf("FAILED %s: %zu bytes, %zu: %08x, not %08x\n", what, size, more, static_cast<unsigned>(found),
              static_cast<unsigned>(expected));
  ++failures;
}

}  // namespace

int main() {
  std::mt19937 random(11);
  std::vector<std::byte> data(4096 + 64);
  for (std::byte& byte : data) byte = static_cast<std::byte>(random());

  for (const pywts::Checksum* way : pywts::checksum_ways()) {
    if (!way->supported()) {
      std::printf("SKIPPED the checksum by %s: not on this processor\n", way->name);
      continue;
    }
    for (std::size_t size = 0; size <= 1100; ++size) {
      for (const std::size_t shift : {0u, 1u, 7u, 16u, 33u}) {
        const std::uint32_t state = size % 3 == 0 ? 0xffffffffu : static_cast<std::uint32_t>(random());
        expect(way->update(state, data.data() + shift, size), oracle(state, data.data() + shift, size), way->name, size,
               shift);
      }
    }
    expect(way->update(0, data.data(), 4096), oracle(0, data.data(), 4096), way->name, 4096, 0);
  }

  expect(pywts::crc32(0, "123456789", 9), 0xcbf43926u, "the known checksum", 9, 0);
  expect(pywts::crc32(0, nullptr, 0), 0, "the checksum of nothing", 0, 0);

  for (std::size_t size = 0; size <= 700; size += size < 40 ? 1 : 37) {
    const std::uint32_t whole = pywts::crc32(0, data.data(), size);
    for (std::size_t cut = 0; cut <= size; ++cut) {
      const std::uint32_t first = pywts::crc32(0, data.data(), cut);
      expect(pywts::crc32(first, data.data() + cut, size - cut), whole, "a checksum gone on with", size, cut);
      const std::uint32_t second = pywts::crc32(0, data.data() + cut, size - cut);
      expect(pywts::crc32_part(second, 0) ^ pywts::crc32_part(first, size - cut), whole, "two parts", size, cut);
    }
  }
  // Distances too long to be tried: zeros add nothing, and two steps make one.
  for (int round = 0; round < 1000; ++round) {
    const auto sum = static_cast<std::uint32_t>(random());
    const std::uint64_t a = (std::uint64_t{random()} << 20) + random(), b = random() % 5000;
    expect(pywts::crc32_part(pywts::crc32_part(sum, a), b), pywts::crc32_part(sum, a + b), "steps", a, b);
  }
  const std::vector<std::byte> zeros(5000);
  for (std::size_t size = 0; size <= zeros.size(); size += 113) {
    const auto state = static_cast<std::uint32_t>(random());
    expect(pywts::crc32_part(state, size), oracle(state, zeros.data(), size), "zeros", size, 0);
  }
  return failures == 0 ? 0 : 1;
}
