// Views that reach outside, sources that end early or cannot be read, values that float32 cannot hold: each is told
// with its place.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "wts/error.hpp"
#include "wts/gather.hpp"

namespace {

using pywts::Code;
using pywts::Dtype;
using pywts::Storage;
using pywts::View;

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();

int failures = 0;

void expect(bool holds, const char* what) {
  if (holds) return;
  ++failures;
  std::printf("failed: %s\n", what);
}

void expect_error(const std::function<void()>& work, Code code, std::int64_t index, int system_error,
                  const char* what) {
  try {
    work();
  } catch (const pywts::Error& error) {
    if (error.code == code && error.index == index && error.system_error == system_error) return;
    std::printf("code %d, index %lld, errno %d: ", static_cast<int>(error.code), static_cast<long long>(error.index),
                error.system_error);
  }
  expect(false, what);
}

View strided(Dtype dtype, std::int64_t offset, std::vector<std::int64_t> shape, std::vector<std::int64_t> strides) {
  View view;
  view.dtype = dtype;
  view.offset = offset;
  view.shape = std::move(shape);
  view.strides = std::move(strides);
  return view;
}

Storage in_memory(const void* memory, std::size_t size) {
  Storage storage;
  storage.memory = static_cast<const std::byte*>(memory);
  storage.size = size;
  return storage;
}

Storage in_file(int file, std::uint64_t offset, std::uint64_t size) {
  Storage storage;
  storage.file = file;
  storage.file_offset = offset;
  storage.size = size;
  return storage;
}

void drop(const std::uint32_t*, std::size_t) {}

void bounds() {
  const auto fits = [](std::uint64_t size, const View& view) { return pywts::inside(view, size); };
  const Dtype f32 = Dtype::float32;
  expect(fits(4, strided(f32, 0, {}, {})), "a scalar fits its storage");
  expect(!fits(3, strided(f32, 0, {}, {})), "a scalar does not fit less");
  expect(!fits(0, strided(f32, 0, {}, {})), "a scalar does not fit nothing");
  expect(!fits(4, strided(f32, 1, {}, {})), "a scalar after the end");
  expect(!fits(4, strided(f32, -1, {}, {})), "a scalar before the start");
  expect(fits(0, strided(f32, 7, {3, 0}, {9, 9})), "no elements fit everywhere");
  expect(!fits(100, strided(f32, 0, {0, -1}, {1, 1})), "a negative size");
  expect(!fits(100, strided(f32, 0, {2}, {1, 1})), "more strides than sizes");
  expect(fits(40, strided(f32, 0, {2, 5}, {5, 1})), "exactly all");
  expect(!fits(39, strided(f32, 0, {2, 5}, {5, 1})), "a byte less");
  expect(fits(40, strided(f32, 9, {10}, {-1})), "reversed");
  expect(!fits(40, strided(f32, 8, {10}, {-1})), "reversed beyond the start");
  expect(fits(4, strided(f32, 0, {kMost}, {0})), "one element repeated");
  expect(!fits(~std::uint64_t{0}, strided(f32, 0, {kMost}, {kMost})), "a product that overflows");
  expect(!fits(~std::uint64_t{0}, strided(f32, 0, {2}, {kLeast})), "the least stride");
  expect(!fits(~std::uint64_t{0}, strided(f32, 1, {2, 2}, {kMost, kMost})), "a sum that overflows");
  expect(!fits(~std::uint64_t{0}, strided(f32, 0, {2, 2}, {kLeast, kLeast})), "a sum that overflows downwards");
  expect(!fits(~std::uint64_t{0}, strided(f32, kMost, {2}, {1})), "an offset that overflows");

  const float values[4] = {};
  const auto outside = [&] { pywts::gather(in_memory(values, sizeof values), strided(f32, 1, {4}, {1}), drop); };
  expect_error(outside, Code::out_of_bounds, -1, 0, "a view outside its memory");
  const auto nowhere = [&] { pywts::gather(in_memory(nullptr, 16), strided(f32, 0, {4}, {1}), drop); };
  expect_error(nowhere, Code::out_of_bounds, -1, 0, "memory that is not there");
  const auto beyond = [&] { pywts::gather(in_file(0, ~std::uint64_t{0} - 8, 16), strided(f32, 0, {4}, {1}), drop); };
  expect_error(beyond, Code::out_of_bounds, -1, 0, "a file offset that overflows");
}

// The values from `first` on of a contiguous view.
void ranges() {
  std::vector<float> values(1000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const Storage storage = in_memory(values.data(), values.size() * sizeof(float));
  const View view = strided(Dtype::float32, 100, {30, 30}, {30, 1});
  pywts::Gatherer gatherer;
  std::vector<std::uint32_t> got;
  const auto collect = [&](const std::uint32_t* bits, std::size_t n) { got.insert(got.end(), bits, bits + n); };
  gatherer.gather(storage, view, 500, 400, collect);
  expect(got.size() == 400 && std::memcmp(got.data(), &values[600], 1600) == 0, "a range of a view");
  gatherer.gather(storage, view, 900, 0, collect);
  expect(got.size() == 400, "nothing at its end");
  const std::uint64_t most = ~std::uint64_t{0};
  const std::pair<std::uint64_t, std::uint64_t> outside[] = {{501, 400}, {1, most}, {most, 2}, {most, most}};
  for (const auto& range : outside) {
    const auto beyond = [&] { gatherer.gather(storage, view, range.first, range.second, collect); };
    expect_error(beyond, Code::out_of_bounds, -1, 0, "a range outside");
  }

  std::vector<double> large(900, 1.0);
  large[700] = -1e300;
  const auto overflow = [&] {
    gatherer.gather(in_memory(large.data(), 7200), strided(Dtype::float64, 100, {800}, {1}), 200, 500, drop);
  };
  expect_error(overflow, Code::overflow, 600, 0, "its index counts from the view's start");
}

void overflows() {
  std::vector<double> values(20000, 1.0);
  values[12345] = 1e300;
  const Storage storage = in_memory(values.data(), values.size() * sizeof(double));
  std::size_t taken = 0;
  const auto count = [&](const std::uint32_t*, std::size_t n) { taken += n; };
  const auto flat = [&] { pywts::gather(storage, strided(Dtype::float64, 0, {20000}, {1}), count); };
  expect_error(flat, Code::overflow, 12345, 0, "a double that float32 cannot hold");
  expect(taken <= 12345, "nothing after it is taken");
  // 12345 = 123 * 100 + 45 of the storage is [45, 123] of its transposition.
  const auto turned = [&] { pywts::gather(storage, strided(Dtype::float64, 0, {100, 200}, {1, 100}), drop); };
  expect_error(turned, Code::overflow, 45 * 200 + 123, 0, "its index is in C order");
  values[12345] = std::numeric_limits<double>::infinity();
  pywts::gather(storage, strided(Dtype::float64, 0, {20000}, {1}), drop);
}

void files() {
  std::FILE* held = std::tmpfile();
  const int file = fileno(held);
  expect(::ftruncate(file, 1000000) == 0, "a file of a million bytes");
  const std::uint64_t announced = 4000000;
  const Storage storage = in_file(file, 24, announced);
  const auto flat = [&] { pywts::gather(storage, strided(Dtype::float32, 0, {1000000}, {1}), drop); };
  expect_error(flat, Code::source_short, 1000000, 0, "a file that ends before its tensor");
  const auto turned = [&] { pywts::gather(storage, strided(Dtype::float32, 0, {1000, 1000}, {1, 1000}), drop); };
  expect_error(turned, Code::source_short, 1000000, 0, "the same transposed");
  const auto striped = [&] {
    pywts::Gatherer({}, 4096).gather(storage, strided(Dtype::float32, 0, {500, 10}, {1, 100000}), drop);
  };
  expect_error(striped, Code::source_short, 1200024, 0, "the same in stripes");
  pywts::gather(storage, strided(Dtype::float32, 0, {249994}, {1}), drop);

  bool cut = false;
  const auto cutting = [&] {
    pywts::Gatherer gatherer([&] {
      if (!cut) cut = ::ftruncate(file, 500000) == 0;
    });
    gatherer.gather(storage, strided(Dtype::float32, 0, {249994}, {1}), drop);
  };
  expect_error(cutting, Code::source_short, 500000, 0, "a file that is cut while it is read");
  std::fclose(held);

  const int folder = ::open("/", O_RDONLY | O_CLOEXEC);
  const auto unreadable = [&] { pywts::gather(in_file(folder, 8, 40), strided(Dtype::float32, 2, {8}, {1}), drop); };
  expect_error(unreadable, Code::source_read, 16, EISDIR, "a folder");
  ::close(folder);
}

void pulses() {
  std::FILE* held = std::tmpfile();
  expect(::ftruncate(fileno(held), 8000000) == 0, "a file of eight million bytes");
  const Storage storage = in_file(fileno(held), 0, 8000000);
  int pulses = 0;
  pywts::Gatherer gatherer([&] {
    if (++pulses == 3) throw pywts::Error(Code::cancelled);
  });
  int taken = 0;
  const auto stopped = [&] {
    gatherer.gather(storage, strided(Dtype::float32, 0, {2000, 1000}, {1, 2000}),
                    [&](const std::uint32_t*, std::size_t) { ++taken; });
  };
  expect_error(stopped, Code::cancelled, -1, 0, "a pulse stops the work");
  expect(taken == 0, "while the first part is being read");
  std::fclose(held);
}

}  // namespace

int main() {
  bounds();
  ranges();
  overflows();
  files();
  pulses();
  return failures == 0 ? 0 : 1;
}
