// Every kernel writes what a digit-by-digit oracle writes: all lengths, any alignment, special values; it writes not a
// byte outside the text, and reads none outside the values.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "wts/kernel.hpp"

namespace {

int failures = 0;

std::string oracle(const std::uint32_t* bits, std::size_t count) {
  std::string text;
  text.reserve(9 * count);
  for (std::size_t i = 0; i < count; ++i) {
    const bool nan = (bits[i] >> 23 & 0xff) == 0xff && (bits[i] & 0x7fffff) != 0;
    const std::uint32_t value = nan ? bits[i] | 0x400000u : bits[i];
    text += ' ';
    for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[value >> shift & 15];
  }
  return text;
}

// Encodes `count` values at `bits` to an address `shift` past a multiple of 64, between canaries.
void check(const pywts::Kernel& kernel, const std::uint32_t* bits, std::size_t count, std::size_t shift) {
  constexpr std::size_t kMargin = 192;
  const std::size_t size = pywts::kTextPerValue * count;
  std::vector<char> memory(kMargin + 64 + shift + size + kMargin, '#');
  const std::size_t aligned = kMargin + (64 - reinterpret_cast<std::uintptr_t>(memory.data() + kMargin) % 64) % 64;
  const std::size_t start = aligned + shift;
  kernel.encode(bits, count, memory.data() + start);
  std::string expected(memory.size(), '#');
  expected.replace(start, size, oracle(bits, count));
  if (std::memcmp(memory.data(), expected.data(), memory.size()) == 0) return;
  std::size_t at = 0;
  while (memory[at] == expected[at]) ++at;
  std::printf("FAILED %s: %zu values, shift %zu: byte %lld differs\n", kernel.name, count, shift,
              static_cast<long long>(at) - static_cast<long long>(start));
  ++failures;
}

// Memory between two pages that nobody may touch.
class Guarded {
 public:
  Guarded() : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
    void* all = mmap(nullptr, 3 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED || mprotect(static_cast<char*>(all) + page_, page_, PROT_READ | PROT_WRITE) != 0) {
      std::perror("mmap");
      std::exit(2);
    }
    begin_ = static_cast<char*>(all) + page_;
  }
  ~Guarded() { munmap(begin_ - page_, 3 * page_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  char* first() { return begin_; }
  char* last(std::size_t size) { return begin_ + page_ - size; }

 private:
  std::size_t page_;
  char* begin_ = nullptr;
};

// Values, then text, that begin or end where the memory does: a byte too far is a crash.
void check_guarded(const pywts::Kernel& kernel, const std::uint32_t* bits) {
  Guarded values, text;
  for (std::size_t count = 0; count <= 200; ++count) {
    const std::size_t size = pywts::kTextPerValue * count;
    for (char* source : {values.first(), values.last(4 * count)}) {
      for (char* target : {text.first(), text.last(size)}) {
        std::memcpy(source, bits, 4 * count);
        kernel.encode(reinterpret_cast<const std::uint32_t*>(source), count, target);
        if (std::memcmp(target, oracle(bits, count).data(), size) == 0) continue;
        std::printf("FAILED %s: %zu guarded values\n", kernel.name, count);
        ++failures;
      }
    }
  }
}

std::vector<std::uint32_t> special_values() {
  std::vector<std::uint32_t> values = {0x01234567, 0x89abcdef, 0xfedcba98};
  for (unsigned digit = 0; digit < 16; ++digit) values.push_back(digit * 0x11111111u);
  for (std::uint32_t sign : {0u, 0x80000000u}) {
    for (std::uint32_t magnitude :
         {0x00000000u, 0x00000001u, 0x007fffffu, 0x00800000u, 0x3f800000u, 0x7f7fffffu, 0x7f800000u, 0x7f800001u,
          0x7f801fffu, 0x7fa00000u, 0x7fbfffffu, 0x7fc00000u, 0x7fc00001u, 0x7fffffffu}) {
      values.push_back(sign | magnitude);
    }
  }
  return values;
}

void check_all(const pywts::Kernel& kernel, std::mt19937& random) {
  const std::vector<std::uint32_t> choices = special_values();
  std::vector<std::uint32_t> plain(1u << 20), special(4096);
  for (std::uint32_t& value : special) value = choices[random() % choices.size()];
  for (std::uint32_t& value : plain) {
    value = static_cast<std::uint32_t>(random());
    if ((value & 0x7f800000) == 0x7f800000) value ^= 0x40000000;  // no NaN: the fast path all along
  }

  for (std::size_t count = 0; count <= 200; ++count) {
    for (std::size_t shift = 0; shift < 64; ++shift) {
      check(kernel, plain.data() + random() % 64, count, shift);
      check(kernel, special.data() + random() % 64, count, shift);
    }
  }
  check_guarded(kernel, plain.data());
  check_guarded(kernel, special.data());
  // One NaN, wherever it lies in a block.
  for (std::size_t at = 0; at < 200; ++at) {
    std::vector<std::uint32_t> values(plain.begin(), plain.begin() + 200);
    values[at] = 0xff800001;
    check(kernel, values.data(), values.size(), random() % 64);
  }
  // Every special value at every place of a block.
  for (std::uint32_t value : choices) {
    const std::vector<std::uint32_t> values(129, value);
    check(kernel, values.data(), values.size(), random() % 64);
  }
  // Everything in the high half and everything in the low half.
  std::vector<std::uint32_t> halves;
  for (std::uint32_t half = 0; half < 0x10000; ++half) {
    halves.push_back(half);
    halves.push_back(half << 16);
  }
  check(kernel, halves.data(), halves.size(), random() % 64);
  for (int round = 0; round < 8; ++round) {
    const std::size_t first = random() % 64;
    check(kernel, plain.data() + first, plain.size() - first - random() % 64, random() % 64);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned seed = argc > 1 ? static_cast<unsigned>(std::stoul(argv[1])) : std::random_device{}();
  std::printf("seed %u\n", seed);
  for (const pywts::Kernel* kernel : pywts::kernels()) {
    if (!kernel->supported()) {
      std::printf("SKIPPED kernel %s: this processor lacks it\n", kernel->name);
      continue;
    }
    std::mt19937 random(seed);
    check_all(*kernel, random);
    std::printf("kernel %s checked\n", kernel->name);
  }
  return failures == 0 ? 0 : 1;
}
