// Values of a .wts and of views, read in any part, compared and summed up, are what a walk over them one by one gives;
// what cannot be read is an error that says where. Run it under a thread sanitizer too.
#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <random>

#include "reader_support.hpp"
#include "wts/checksum.hpp"
#include "wts/error.hpp"
#include "wts/values.hpp"

namespace {

using pywts::Dtype;
using pywts::Values;
using pywts::View;
using reader_test::expect;
using reader_test::TemporaryFile;
using Bits = std::vector<std::uint32_t>;

constexpr std::uint64_t kSmall = 1000, kParts = 400000, kThreads = 2500000;  // of values: one part, some, some threads

std::mt19937_64 random_source(20261124);

std::uint64_t below(std::uint64_t end) { return random_source() % end; }

Bits random_bits(std::uint64_t count) {
  Bits bits(count);
  for (std::uint32_t& each : bits) each = static_cast<std::uint32_t>(random_source());
  return bits;
}

bool is_nan(std::uint32_t bits) { return std::isnan(reader_test::number_of(bits)); }

std::uint32_t quiet(std::uint32_t bits) { return is_nan(bits) ? bits | 0x400000 : bits; }

Bits quiet(Bits bits) {
  for (std::uint32_t& each : bits) each = quiet(each);
  return bits;
}

// --- Where values can be: each kind of text, and each kind of view. What owns them, and what they are.

struct Held {
  Values values;
  Bits bits;
  std::string what;
  std::shared_ptr<void> owner = nullptr;
};

std::string line_of(const Bits& bits, const char* format) {
  std::string text;
  char value[16];
  for (const std::uint32_t each : bits) {
    std::snprintf(value, sizeof value, format, each);
    text += value;
  }
  return text;
}

Held of_text(const std::string& text, Bits bits, std::string what) {
  const TemporaryFile file(text);  // open, it needs no name any more
  Held held{{}, std::move(bits), std::move(what)};
  held.values.file = std::make_shared<const pywts::WtsFile>(file.path());
  held.values.line = &held.values.file->weights()[0];
  return held;
}

Held of_line(const Bits& bits, const char* head, const char* format) {
  const std::string text = "1\nname " + std::string(head) + std::to_string(bits.size()) + " ";
  return of_text(text + line_of(bits, format) + "\n", bits, "a line of" + std::string(format));
}

Held of_halves(std::uint64_t count) {
  Bits halves = random_bits(count), bits;
  for (std::uint32_t& half : halves) {
    half &= 0xffff;
    bits.push_back(reader_test::widened(half));
  }
  const std::string text = "1\nname 1 " + std::to_string(count) + line_of(halves, " %x") + "\n";
  return of_text(text, std::move(bits), "a line of halves");
}

// A view of float32 with these strides of its axes in memory, the largest first.
Held of_view(const std::vector<std::int64_t>& shape, const std::vector<std::size_t>& order, bool in_file) {
  View view;
  view.shape = shape;
  view.strides.resize(shape.size());
  std::int64_t step = 1;
  for (std::size_t i = order.size(); i-- > 0; step *= shape[order[i]]) view.strides[order[i]] = step;
  view.offset = static_cast<std::int64_t>(below(5));
  auto elements = std::make_shared<Bits>(random_bits(static_cast<std::uint64_t>(step + view.offset)));
  for (std::size_t i = 0; i < elements->size(); i += 97) (*elements)[i] = 0x7f800001;  // a signalling NaN
  Held held{{}, {}, in_file ? "a view of a file" : "a view of memory"};
  std::vector<std::int64_t> index(shape.size());
  for (std::int64_t i = 0; i < step; ++i) {
    std::int64_t at = view.offset;
    for (std::size_t d = 0; d < index.size(); ++d) at += index[d] * view.strides[d];
    held.bits.push_back((*elements)[static_cast<std::size_t>(at)]);
    for (std::size_t d = index.size(); d-- > 0;) {
      if (++index[d] < shape[d]) break;
      index[d] = 0;
    }
  }
  held.values.view = view;
  held.values.storage.size = 4 * elements->size();
  if (in_file) {
    std::shared_ptr<std::FILE> file(std::tmpfile(), std::fclose);
    if (!file || std::fwrite(elements->data(), 4, elements->size(), file.get()) != elements->size()) std::exit(2);
    std::fflush(file.get());
    held.values.storage.file = fileno(file.get());
    held.owner = file;
  } else {
    held.values.storage.memory = reinterpret_cast<const std::byte*>(elements->data());
    held.owner = elements;
  }
  return held;
}

std::vector<Held> all_kinds(std::uint64_t count) {
  std::vector<Held> kinds;
  kinds.push_back(of_line(random_bits(count), "", " %08x"));
  kinds.push_back(of_line(random_bits(count), " ", " %08X"));
  kinds.push_back(of_line(random_bits(count), "", "  %08x"));
  kinds.push_back(of_line(random_bits(count), "", "0x%x "));
  kinds.push_back(of_line(random_bits(count), "0 ", "%x "));
  kinds.push_back(of_halves(count));
  const auto rows = static_cast<std::int64_t>(count / 20);
  for (const bool in_file : {false, true}) {
    kinds.push_back(of_view({static_cast<std::int64_t>(count)}, {0}, in_file));
    kinds.push_back(of_view({rows, 4, 5}, {0, 1, 2}, in_file));
    kinds.push_back(of_view({rows, 4, 5}, {2, 0, 1}, in_file));
    kinds.push_back(of_view({4, rows, 5}, {1, 2, 0}, in_file));
    kinds.push_back(of_view({5, 1, 4, rows, 1}, {3, 1, 0, 2, 4}, in_file));
  }
  return kinds;
}

// --- Reading

void check_reading(const Held& held) {
  const bool is_view = held.values.file == nullptr;
  const std::uint64_t size = held.values.size();
  expect(size == held.bits.size(), held.what + ": its size");
  pywts::Workspace workspace;  // kept: a part must not see the one before
  for (std::uint64_t round = 0; round < 2 + 3000000 / (size + 50000); ++round) {
    const std::uint64_t begin = round == 0 ? 0 : below(size + 1),
                        end = round == 0 ? size : begin + below(size - begin + 1);
    Bits found(end - begin);  // of exactly this size: a sanitizer watches
    pywts::read(held.values, begin, end, found.data(), workspace);
    const auto at = [&](std::uint64_t i) { return held.bits.begin() + static_cast<std::ptrdiff_t>(i); };
    const Bits part(at(begin), at(end));
    expect(found == (is_view ? quiet(part) : part),
           held.what + ": values " + std::to_string(begin) + " to " + std::to_string(end));
  }
}

// --- Comparing

std::int64_t rank(std::uint32_t bits) {
  const std::int64_t magnitude = bits & 0x7fffffff;
  return bits >> 31 != 0 ? -magnitude : magnitude;
}

pywts::Difference walk(const Held& left, const Held& right) {
  pywts::Difference result;
  const Bits a = left.values.file ? left.bits : quiet(left.bits),
             b = right.values.file ? right.bits : quiet(right.bits);
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i]) continue;
    if (result.count++ == 0) result.first = i, result.a = a[i], result.b = b[i];
    if (is_nan(a[i]) || is_nan(b[i])) {
      ++result.nans;
      continue;
    }
    const double x = reader_test::number_of(a[i]), y = reader_test::number_of(b[i]);
    result.most = std::max(result.most, std::fabs(x - y));
    result.sum += std::fabs(x - y);
    result.ulp = std::max(result.ulp, static_cast<std::uint64_t>(std::llabs(rank(a[i]) - rank(b[i]))));
  }
  return result;
}

void check_pair(const Held& left, const Held& right) {
  const std::string what = left.what + " against " + right.what;
  const pywts::Difference wanted = walk(left, right);
  const pywts::Difference found = pywts::compare({{&left.values, &right.values}}, false).at(0);
  expect(found.count == wanted.count && found.first == wanted.first && found.a == wanted.a && found.b == wanted.b &&
             found.nans == wanted.nans && found.most == wanted.most && found.ulp == wanted.ulp,
         what);
  const bool finite = std::isfinite(wanted.sum);
  expect(finite ? std::fabs(found.sum - wanted.sum) <= 1e-9 * wanted.sum : found.sum == wanted.sum, what + ": the sum");
  const pywts::Difference first = pywts::compare({{&left.values, &right.values}}, true).at(0);
  expect((first.count != 0) == (wanted.count != 0) && first.first == wanted.first && first.a == wanted.a &&
             first.b == wanted.b,
         what + ": the first alone");
}

// The same values as a line, some of them changed.
Held changed(const Held& held, std::uint64_t changes, bool small) {
  Bits bits = quiet(held.bits);
  for (std::uint64_t i = 0; i < changes; ++i) {
    std::uint32_t& each = bits[below(bits.size())];
    each = small ? each ^ 1 : static_cast<std::uint32_t>(random_source());
  }
  return of_line(bits, "", " %08x");
}

void check_first_of_many_pairs() {
  const Held zeros = of_line(Bits(kParts, 0), "", " %08x");
  Held one = of_line(
      [] {
        Bits bits(kParts, 0);
        bits.back() = 0x80000000;
        return bits;
      }(),
      "", " %08x");
  std::vector<pywts::Pair> pairs(20, {&zeros.values, &zeros.values});
  for (std::size_t i = 13; i < pairs.size(); ++i) pairs[i].second = &one.values;
  const auto found = pywts::compare(pairs, true);
  for (std::size_t i = 0; i < 13; ++i) expect(found[i].count == 0, "an equal pair before the first difference");
  expect(found[13].count == 1 && found[13].first == kParts - 1, "the first difference of many pairs");
  const auto all = pywts::compare(pairs, false);
  for (std::size_t i = 0; i < pairs.size(); ++i) expect(all[i].count == (i < 13 ? 0u : 1u), "every pair");
  expect(all[19].ulp == 0 && all[19].most == 0, "-0 and 0 are one number in other bits");
}

// --- Errors

template <class Wanted, class Check>
void expect_error(const std::function<void()>& work, const Check& check, const std::string& what) {
  try {
    work();
  } catch (const Wanted& error) {
    expect(check(error), what + ": another error");
    return;
  }
  expect(false, what + ": no error");
}

void check_errors() {
  std::vector<double> doubles(kThreads, 1.0);
  doubles[2000003] = 1e300;
  Held large{{}, {}, "float64"};
  large.values.storage.memory = reinterpret_cast<const std::byte*>(doubles.data());
  large.values.storage.size = 8 * kThreads;
  large.values.view.dtype = Dtype::float64;
  const auto view_as = [&](std::vector<std::int64_t> shape, std::vector<std::int64_t> strides) {
    large.values.view.shape = std::move(shape);
    large.values.view.strides = std::move(strides);
  };
  const Held ones = of_line(Bits(kThreads, 0x3f800000), "", " %08x");
  for (const std::int64_t columns : {1, 4}) {  // contiguous, and transposed: its index is that in C order
    const auto rows = static_cast<std::int64_t>(kThreads) / columns;
    view_as({columns, rows}, {1, columns});
    const std::int64_t index = 2000003 % columns * rows + 2000003 / columns;
    const auto overflows = [&](const pywts::Error& e) { return e.code == pywts::Code::overflow && e.index == index; };
    expect_error<pywts::Error>([&] { pywts::compare({{&large.values, &ones.values}}, false); }, overflows, "overflow");
    expect_error<pywts::Error>([&] { pywts::checksums({&large.values}); }, overflows, "overflow in a sum");
  }

  Held view = of_view({static_cast<std::int64_t>(kSmall)}, {0}, true);
  view.values.storage.size += 4;
  view.values.view.shape[0] += 1;
  expect_error<pywts::Error>([&] { pywts::checksums({&view.values}); },
                             [](const pywts::Error& e) { return e.code == pywts::Code::source_short; }, "a short file");
  view.values.view.shape[0] += 1;
  expect_error<pywts::Error>([&] { pywts::checksums({&view.values}); },
                             [](const pywts::Error& e) { return e.code == pywts::Code::out_of_bounds; }, "outside");

  // One wrong digit in every part and so in every thread: it is an error, whichever comes first.
  std::string text = "1\nname " + std::to_string(kThreads) + " " + line_of(Bits(kThreads, 0), " %08x") + "\n";
  for (std::size_t i = 500000; i < text.size(); i += 1000000) text[i] = 'g';
  const Held damaged = of_text(text, Bits(kThreads, 0), "a damaged line");
  const auto is_digit = [](const wts::error& e) {
    return (e.code == wts::errc::digit) && e.line == 2 && e.tensor == "name" && e.offset % 1000000 == 500000;
  };
  expect_error<wts::error>([&] { pywts::compare({{&ones.values, &damaged.values}}, false); }, is_digit, "digits");
  expect_error<wts::error>([&] { pywts::checksums({&damaged.values}); }, is_digit, "digits in a sum");

  const TemporaryFile shrinking(text);
  Values cut;
  cut.file = std::make_shared<const pywts::WtsFile>(shrinking.path());
  cut.line = &cut.file->weights()[0];
  std::filesystem::resize_file(shrinking.path(), 100);
  expect_error<wts::error>([&] { pywts::checksums({&cut}); },
                           [](const wts::error& e) { return e.code == wts::errc::changed; }, "a file that shrank");
  expect_error<wts::error>([&] { pywts::WtsFile("/nowhere/at/all.wts"); },
                           [](const wts::error& e) { return e.code == wts::errc::file; }, "no file");
}

}  // namespace

int main() {
  for (const std::uint64_t count : {kSmall, kParts, kThreads}) {
    const std::vector<Held> kinds = all_kinds(count);
    std::vector<const Values*> all;
    for (const Held& held : kinds) {
      if (count != kThreads) check_reading(held);  // one thread reads, however many values
      all.push_back(&held.values);
    }
    const std::vector<std::uint32_t> sums = pywts::checksums(all);
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      const Bits bits = kinds[i].values.file ? kinds[i].bits : quiet(kinds[i].bits);
      expect(sums[i] == pywts::crc32(0, bits.data(), 4 * bits.size()), kinds[i].what + ": its checksum");
    }
    if (count == kThreads) continue;  // a second of each pair at this size says no more
    for (const Held& held : kinds) {
      for (const bool small : {false, true}) {
        const Held other = changed(held, small ? 1 : 50, small);
        check_pair(held, other);
        check_pair(other, held);
      }
      check_pair(held, held);
    }
    check_pair(kinds[0], kinds[1]);
    check_pair(kinds[6], kinds[11]);
  }
  check_first_of_many_pairs();
  check_errors();
  return reader_test::failures == 0 ? 0 : 1;
}
