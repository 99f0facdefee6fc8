// A small pickle costs little, whatever it says: no recursion, no memory out of proportion, no time, and the limits
// stand before memory is taken.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <string>

#include "pickle/machine.hpp"

namespace {

using namespace std::string_literals;
using Clock = std::chrono::steady_clock;
using pywts::pickle::Document;
using pywts::pickle::Error;
using pywts::pickle::Limits;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kMemoryIsWatched = true;  // and takes several times as much
#else
constexpr bool kMemoryIsWatched = false;
#endif

int failures = 0;

void expect(bool holds, const std::string& what) {
  if (holds) return;
  ++failures;
  std::printf("failed: %s\n", what.c_str());
}

std::string times(const std::string& part, std::size_t count) {
  std::string result;
  result.reserve(part.size() * count);
  for (std::size_t i = 0; i < count; ++i) result += part;
  return result;
}

// As much as fills 1 MB.
std::string megabyte_of(const std::string& part) { return times(part, 1'000'000 / part.size()); }

std::string number(std::uint64_t value, int bytes) {
  std::string result;
  for (int i = 0; i < bytes; ++i) result += static_cast<char>(value >> 8 * i & 0xff);
  return result;
}

long peak_kilobytes() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

void refused(const std::string& pickle, const Limits& limits, const std::string& why) {
  std::string got = "accepted";
  try {
    const Document document(pickle, limits);
  } catch (const Error& error) {
    got = error.what();
  }
  expect(got == why, got + ", should be: " + why);
}

void limits() {
  Limits limits;
  limits.opcodes = 3;
  expect(Document("NN0.", {}).size() == 1, "four opcodes");
  refused("NN0.", limits, "the pickle has more opcodes than the limit allows");
  limits = {};
  limits.nodes = 2;
  expect(Document("]]0.", limits).size() == 2, "two objects");
  refused("]]]0.", limits, "the pickle makes more objects than the limit allows");
  refused("ca\nb\n.", limits, "the pickle makes more objects than the limit allows");
  limits = {};
  limits.memo = 2;
  refused("Nq\x01q\x02q\x03.", limits, "the memo has more entries than the limit allows");
  refused("N\x94\x94\x94.", limits, "the memo has more entries than the limit allows");
  limits = {};
  limits.integer_bytes = 20;
  expect(Document("\x8a\x14" + std::string(20, 'x') + ".", limits).size() == 1, "an integer of twenty bytes");
  refused("\x8a\x15" + std::string(21, 'x') + ".", limits, "an integer has more bytes than the limit allows");
  refused("\x8b\x15\x00\x00\x00"s + std::string(21, 'x') + ".", limits,
          "an integer has more bytes than the limit allows");
  refused("L0x" + std::string(42, '7') + "L\n.", limits, "an integer has more digits than the limit allows");
  refused("L" + std::string(60, '7') + "L\n.", limits, "an integer has more digits than the limit allows");
  refused("L" + std::string(10'001, '7') + "L\n.", {}, "an integer has more digits than the limit allows");
  refused("I" + std::string(10'001, '7') + "\n.", {}, "an integer has more digits than the limit allows");
  refused("Np" + std::string(100'000, '7') + "\n.", {}, "a memo index is written wrong");
  const std::string longest = "L" + std::string(10'000, '7') + "L\n.";
  expect(Document(longest).text(0).size() == 4153, "an integer of ten thousand digits");
}

// Announced sizes are compared with what is there before anything is made of them.
void announced_sizes() {
  for (const std::string& opcode :
       {"X\xff\xff\xff\x7f"s, "X\xff\xff\xff\xff"s, "T\xff\xff\xff\xff"s, "B\xff\xff\xff\xff"s}) {
    refused(opcode + "abc.", {}, "the pickle is cut short");
  }
  for (const std::string& opcode : {"\x8d"s, "\x8e"s, "\x96"s}) {
    for (const int byte : {0x7f, 0x80, 0xff}) {
      refused(opcode + std::string(7, '\xff') + static_cast<char>(byte) + "abc.", {}, "the pickle is cut short");
    }
  }
}

struct Case {
  const char* name;
  std::string pickle;
};

// Deep, wide, shared, and scattered pickles of 1 MB: each in less than 100 MB, in no time.
void proportion() {
  std::string scattered;
  for (std::uint64_t i = 0; i < 200'000; ++i) scattered += "r" + number(0xffffffff - i * 20'000, 4);
  std::string falling;
  for (std::uint64_t i = 0; i < 200'000; ++i) falling += "r" + number(200'000 - i, 4);
  std::string laughs = "]";
  for (int i = 0; i < 200; ++i)
    laughs += "q" + number(static_cast<std::uint64_t>(i), 1) + "(" +
              times("h" + number(static_cast<std::uint64_t>(i), 1), 400) + "l";
  const std::string digits = "L" + std::string(9'900, '7') + "\n";
  const std::string call = "ca\nb\n)R";
  const Case cases[] = {
      {"lists", megabyte_of("]") + "."},
      {"sets", megabyte_of("\x8f") + "."},
      {"floats", megabyte_of("F1\n") + "."},
      {"marks", megabyte_of("(") + "N."},
      {"nested lists", times("](", 300'000) + "N" + times("e", 300'000) + "."},
      {"nested tuples", "N" + megabyte_of("\x85") + "."},
      {"200,000 levels of lists", times("]", 200'000) + times("a", 199'999) + "."},
      {"200,000 levels of dicts", times("}N", 200'000) + "N" + times("s", 200'000) + "."},
      {"200,000 levels of calls", "ca\nb\nq\x01" + times("h\x01", 199'999) + ")" + times("R\x85", 200'000) + "."},
      {"one object many times", "N" + megabyte_of("2") + "."},
      {"many in a list", "](N" + megabyte_of("2") + "e."},
      {"one by one in a list", "]" + megabyte_of("Na") + "."},
      {"two lists in turn", "]q\x01]q\x02" + megabyte_of("h\x01Na0h\x02Na0") + "."},
      {"one by one in a dict", "}" + megabyte_of("NNs") + "."},
      {"many states", call + megabyte_of("Nb") + "."},
      {"many calls with states", call + "q\x01" + megabyte_of("h\x01)RNb0") + "."},
      {"many calls with items", call + "q\x01" + megabyte_of("h\x01)RNaNNs") + "."},
      {"imports", megabyte_of("ca\nb\n") + "."},
      {"instances", megabyte_of("(ia\nb\n") + "."},
      {"persistent ids", megabyte_of("P\n") + "."},
      {"extensions", megabyte_of("\x82\x01") + "."},
      {"decoded texts", megabyte_of("V\xe9\n") + "."},
      {"escaped texts", megabyte_of("S'\\a'\n") + "."},
      {"memo entries", "N" + megabyte_of("\x94") + "."},
      {"scattered memo entries", "N" + scattered + "."},
      {"falling memo entries", "N" + falling + "."},
      {"the largest memo index",
       "Nr\xff\xff\xff\xff"
       "p9223372036854775807\n."},
      {"a billion laughs", laughs + "."},
      {"long decimals", megabyte_of(digits) + "."},
      {"one long hexadecimal", "L0x" + std::string(999'000, '7') + "\n."},
      {"long floats", megabyte_of("F" + std::string(9'900, '7') + "e-9900\n") + "."},
      {"one long float", "F0." + std::string(999'000, '7') + "\n."},
      {"underscores", "I" + megabyte_of("1_") + "1\n."},
      {"frames", megabyte_of("\x95" + std::string(8, '\0')) + "N."},
      {"lines", megabyte_of("P" + std::string(30, 'x') + "\n") + "P"},
  };
  const long before = peak_kilobytes();
  for (const Case& each : cases) {
    const auto start = Clock::now();
    std::size_t nodes = 0;
    std::string end = "accepted";
    try {
      const Document document(each.pickle);
      nodes = document.size();
    } catch (const Error& error) {
      end = error.what();
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const long megabytes = (peak_kilobytes() - before) / 1024;
    std::printf("%-26s %8zu nodes, %6.1f ms, peak so far +%ld MB, %s\n", each.name, nodes, seconds * 1000, megabytes,
                end.c_str());
    expect(megabytes < 100 || kMemoryIsWatched, std::string(each.name) + " take too much memory");
    expect(seconds < 2, std::string(each.name) + " take too much time");
  }
}

}  // namespace

int main() {
  limits();
  announced_sizes();
  proportion();
  return failures == 0 ? 0 : 1;
}
