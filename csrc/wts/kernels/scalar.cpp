// The kernel of every processor: two tables, 16 KiB of three digits and 512 bytes of two.
#include <cstring>

#include "wts/kernel.hpp"

namespace pywts {
namespace {

constexpr char kDigits[] = "0123456789abcdef";

struct Tables {
  char three[4096][4];  // a space and three digits
  char two[256][2];
};

constexpr Tables make_tables() {
  Tables tables{};
  for (int i = 0; i < 4096; ++i) {
    tables.three[i][0] = ' ';
    tables.three[i][1] = kDigits[i >> 8];
    tables.three[i][2] = kDigits[(i >> 4) & 15];
    tables.three[i][3] = kDigits[i & 15];
  }
  for (int i = 0; i < 256; ++i) {
    tables.two[i][0] = kDigits[i >> 4];
    tables.two[i][1] = kDigits[i & 15];
  }
  return tables;
}

constexpr Tables kTables = make_tables();

constexpr std::uint32_t quiet(std::uint32_t bits) noexcept {
  return bits | static_cast<std::uint32_t>((bits & 0x7fffffff) > 0x7f800000) << 22;
}

// The middle digits come with a space too, which the first ones then cover.
void put(std::uint32_t bits, char* text) noexcept {
  std::memcpy(text + 3, kTables.three[(bits >> 8) & 4095], 4);
  std::memcpy(text, kTables.three[bits >> 20], 4);
  std::memcpy(text + 7, kTables.two[bits & 255], 2);
}

void encode(const std::uint32_t* bits, std::size_t count, char* text) noexcept {
  constexpr std::size_t kBlock = 64;
  std::uint32_t quieted[kBlock];  // apart from the look-ups, this loop vectorises
  for (; count >= kBlock; count -= kBlock, bits += kBlock) {
    for (std::size_t i = 0; i < kBlock; ++i) quieted[i] = quiet(bits[i]);
    for (std::size_t i = 0; i < kBlock; ++i, text += kTextPerValue) put(quieted[i], text);
  }
  for (std::size_t i = 0; i < count; ++i, text += kTextPerValue) put(quiet(bits[i]), text);
}

bool supported() noexcept { return true; }

}  // namespace

const Kernel kScalar = {"scalar", supported, encode};

}  // namespace pywts
