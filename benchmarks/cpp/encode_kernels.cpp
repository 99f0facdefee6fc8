// Times every kernel that this processor runs: text bytes a second, from L2 and from DRAM, beside memcpy of the same
// text. Prints one JSON object a line.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <vector>

#include "wts/kernel.hpp"
#include "wts/memory.hpp"

namespace {

constexpr std::size_t kInL2 = 32 * 1024;           // values: 128 KiB in, 288 KiB of text
constexpr std::size_t kInDram = 32 * 1024 * 1024;  // values: 128 MiB in, 288 MiB of text

// The median of several rounds, each at least 20 ms long, in seconds a call.
double seconds(const std::function<void()>& work) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> rounds;
  work();
  for (int round = 0; round < 9; ++round) {
    int calls = 0;
    const auto start = Clock::now();
    std::chrono::duration<double> spent{};
    do {
      work();
      ++calls;
      spent = Clock::now() - start;
    } while (spent.count() < 0.02);
    rounds.push_back(spent.count() / calls);
  }
  std::nth_element(rounds.begin(), rounds.begin() + 4, rounds.end());
  return rounds[4];
}

void report(const char* name, const char* where, std::size_t text, double time) {
  std::printf("{\"kernel\": \"%s\", \"where\": \"%s\", \"bytes_per_second\": %.0f}\n", name, where,
              static_cast<double>(text) / time);
}

void measure(const char* where, std::size_t count) {
  const std::size_t size = count * pywts::kTextPerValue;
  std::vector<std::uint32_t> bits(count);
  std::uint32_t state = 2463534242u;
  for (std::uint32_t& value : bits) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    value = state;
  }
  std::vector<char> text(size);
  std::vector<char> copy(size);
  pywts::prepare_fresh(text.data(), size);
  for (const pywts::Kernel* kernel : pywts::kernels()) {
    if (!kernel->supported()) {
      std::fprintf(stderr, "SKIPPED kernel %s: not on this processor\n", kernel->name);
      continue;
    }
    report(kernel->name, where, size, seconds([&] { kernel->encode(bits.data(), count, text.data()); }));
  }
  report("memcpy", where, size, seconds([&] { std::memcpy(copy.data(), text.data(), size); }));
}

}  // namespace

int main() {
  measure("L2", kInL2);
  measure("DRAM", kInDram);
  return 0;
}
