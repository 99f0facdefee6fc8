// Whatever its strides, dtype, byte order and place, a view gives the values that a walk over its indices gives.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "wts/gather.hpp"
#include "wts/widen.hpp"

namespace {

using pywts::Dtype;
using pywts::Storage;
using pywts::View;
using Bits = std::vector<std::uint32_t>;
using Bytes = std::vector<std::byte>;

std::mt19937_64 random_source(20240607);

std::int64_t between(std::int64_t low, std::int64_t high) {
  return std::uniform_int_distribution<std::int64_t>(low, high)(random_source);
}
bool chance(int percent) { return between(1, 100) <= percent; }

// A temporary file without a name that holds `bytes` from `offset` on.
class HeldFile {
 public:
  HeldFile(const Bytes& bytes, std::size_t offset) : file_(std::tmpfile()) {
    if (file_ == nullptr || std::fseek(file_, static_cast<long>(offset), SEEK_SET) != 0 ||
        std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size() || std::fflush(file_) != 0) {
      std::perror("temporary file");
      std::exit(2);
    }
  }
  ~HeldFile() { std::fclose(file_); }
  HeldFile(const HeldFile&) = delete;
  HeldFile& operator=(const HeldFile&) = delete;
  int descriptor() const { return fileno(file_); }

 private:
  std::FILE* file_;
};

std::uint32_t value_at(const Bytes& storage, const View& view, std::int64_t index) {
  const std::size_t size = pywts::info(view.dtype).size;
  std::byte element[8];
  std::memcpy(element, storage.data() + static_cast<std::size_t>(index) * size, size);
  if (view.swapped) std::reverse(element, element + size);
  std::uint32_t bits = 0;
  pywts::widen(view.dtype)(element, 1, &bits);
  if (view.half) pywts::round_to_half(&bits, 1);
  return bits;
}

Bits index_walk(const Bytes& storage, const View& view) {
  Bits result;
  const std::uint64_t count = pywts::numel(view);
  result.reserve(count);
  std::vector<std::int64_t> index(view.shape.size(), 0);
  for (std::uint64_t i = 0; i < count; ++i) {
    std::int64_t at = view.offset;
    for (std::size_t d = 0; d < index.size(); ++d) at += index[d] * view.strides[d];
    result.push_back(value_at(storage, view, at));
    for (std::size_t d = index.size(); d-- > 0;) {
      if (++index[d] < view.shape[d]) break;
      index[d] = 0;
    }
  }
  return result;
}

std::string described(const View& view) {
  std::string text(pywts::info(view.dtype).name);
  text += view.swapped ? " swapped" : "";
  text += view.half ? " half" : "";
  text += " offset " + std::to_string(view.offset);
  for (std::size_t d = 0; d < view.shape.size(); ++d) {
    text += " " + std::to_string(view.shape[d]) + ":" + std::to_string(view.strides[d]);
  }
  return text;
}

int failures = 0;

void compare(const Bytes& storage, const Storage& where, const View& view, std::size_t budget, const Bits& expected,
             const char* place) {
  Bits got;
  pywts::Gatherer gatherer({}, budget);
  const auto collect = [&](const std::uint32_t* bits, std::size_t count) { got.insert(got.end(), bits, bits + count); };
  gatherer.gather(where, view, collect);
  bool same = got == expected;
  got.clear();
  gatherer.gather(where, view, collect);  // its memory is kept between calls: the second must not see the first
  same = same && got == expected;
  if (same) return;
  ++failures;
  std::printf("different: %s, %s, budget %zu, storage of %zu bytes\n", place, described(view).c_str(), budget,
              storage.size());
}

void check(const Bytes& storage, const View& view) {
  const Bits expected = index_walk(storage, view);
  Storage memory;
  memory.memory = storage.data();
  memory.size = storage.size();
  compare(storage, memory, view, pywts::Gatherer::kBudget, expected, "memory");

  Bytes shifted(storage.size() + 1);
  std::copy(storage.begin(), storage.end(), shifted.begin() + 1);
  memory.memory = shifted.data() + 1;
  compare(storage, memory, view, pywts::Gatherer::kBudget, expected, "unaligned memory");

  const auto offset = static_cast<std::size_t>(between(0, 3) * 13);
  const HeldFile held(storage, offset);
  Storage file;
  file.file = held.descriptor();
  file.file_offset = offset;
  file.size = storage.size();
  for (const std::size_t budget :
       {std::size_t{1}, std::size_t{100}, std::size_t{5000}, std::size_t{60000}, pywts::Gatherer::kBudget}) {
    if (budget == 1 && expected.size() > 5000) continue;
    compare(storage, file, view, budget, expected, "file");
  }
}

// A storage that just holds what the view touches, its offset set so that this is so.
Bytes storage_for(View& view) {
  std::int64_t low = 0;
  std::int64_t high = 0;
  for (std::size_t d = 0; d < view.shape.size(); ++d) {
    const std::int64_t reach = std::max<std::int64_t>(view.shape[d] - 1, 0) * view.strides[d];
    (reach < 0 ? low : high) += reach;
  }
  view.offset = between(0, 2) - low;
  Bytes storage(static_cast<std::size_t>(view.offset + high + 1) * pywts::info(view.dtype).size);
  for (std::byte& byte : storage) byte = static_cast<std::byte>(random_source());
  if (view.dtype == Dtype::float64) {  // none that float32 cannot hold
    for (std::size_t i = 0; i < storage.size(); i += sizeof(double)) {
      auto number = static_cast<double>(between(-1000000, 1000000)) / 3;
      std::memcpy(&storage[i], &number, sizeof number);
      if (view.swapped) std::reverse(&storage[i], &storage[i] + sizeof number);
    }
  }
  return storage;
}

View random_view(std::int64_t most) {
  View view;
  view.dtype = pywts::kDtypes[static_cast<std::size_t>(between(0, std::size(pywts::kDtypes) - 1))].dtype;
  view.swapped = chance(30);
  view.half = chance(20);
  const auto dims = static_cast<std::size_t>(between(0, 5));
  std::int64_t count = 1;
  std::int64_t extent = 1;
  for (std::size_t d = 0; d < dims; ++d) {
    std::int64_t size = chance(20) ? 1 : chance(3) ? 0 : between(2, chance(20) ? 300 : 12);
    if (count * std::max<std::int64_t>(size, 1) > most) size = 1;
    count *= std::max<std::int64_t>(size, 1);
    const std::int64_t step = chance(15) ? between(2, 5) : 1;    // sliced
    const std::int64_t gap = chance(10) ? between(1, 2000) : 0;  // a part of something larger
    std::int64_t stride = extent * step;
    extent = extent * step * std::max<std::int64_t>(size, 1) + gap;
    if (extent > 400000) {
      stride = between(0, 3);  // windows that overlap
      extent = 400000;
    }
    if (chance(12)) stride = 0;        // expanded
    if (chance(10)) stride = -stride;  // reversed
    if (chance(5)) stride = between(1, 40);
    view.shape.insert(view.shape.begin(), size);
    view.strides.insert(view.strides.begin(), stride);
  }
  if (chance(60)) {  // permuted
    for (std::size_t d = dims; d > 1; --d) {
      const auto other = static_cast<std::size_t>(between(0, static_cast<std::int64_t>(d) - 1));
      std::swap(view.shape[d - 1], view.shape[other]);
      std::swap(view.strides[d - 1], view.strides[other]);
    }
  }
  return view;
}

View strided(Dtype dtype, std::vector<std::int64_t> shape, std::vector<std::int64_t> strides) {
  View view;
  view.dtype = dtype;
  view.shape = std::move(shape);
  view.strides = std::move(strides);
  return view;
}

}  // namespace

int main() {
  std::vector<View> views = {
      strided(Dtype::float32, {}, {}),                               // a scalar
      strided(Dtype::float32, {0}, {1}),                             // empty
      strided(Dtype::float32, {3, 0, 4}, {7, 9, 11}),                //
      strided(Dtype::float16, {1, 1, 1}, {5, 100000, 3}),            //
      strided(Dtype::float32, {150001}, {1}),                        // longer than one read
      strided(Dtype::float64, {70001}, {1}),                         //
      strided(Dtype::uint8, {300007}, {1}),                          //
      strided(Dtype::float32, {700, 300}, {1, 700}),                 // transposed
      strided(Dtype::float16, {300, 1100}, {1, 300}),                //
      strided(Dtype::uint8, {333, 777}, {1, 333}),                   //
      strided(Dtype::int64, {129, 257}, {1, 129}),                   //
      strided(Dtype::float32, {5, 3000}, {1, 5}),                    //
      strided(Dtype::float32, {40, 60}, {1, 2000}),                  // with leaps between short runs
      strided(Dtype::float32, {60, 40}, {2000, 1}),                  //
      strided(Dtype::float32, {30, 20, 50}, {1, 3000, 60}),          //
      strided(Dtype::float32, {4, 600000}, {1, 4}),                  // rows beyond the stage
      strided(Dtype::float32, {33, 17, 3, 3}, {153, 1, 51, 17}),     // channels last
      strided(Dtype::float16, {64, 32, 3, 3}, {1, 64, 6144, 2048}),  // HWIO read as OIHW
      strided(Dtype::float32, {100000}, {0}),                        // expanded
      strided(Dtype::float32, {300, 40, 30}, {0, 30, 1}),            //
      strided(Dtype::float32, {40, 300, 30}, {30, 0, 1}),            //
      strided(Dtype::float32, {40, 30, 300}, {30, 1, 0}),            //
      strided(Dtype::float32, {3, 50000}, {0, 2}),                   //
      strided(Dtype::float32, {500, 400}, {1, 1}),                   // windows that overlap
      strided(Dtype::float32, {50, 50, 50}, {7, 5, 3}),              //
      strided(Dtype::float32, {9, 9, 9}, {20000, 20001, 19999}),     //
      strided(Dtype::float32, {200, 100}, {-100, -1}),               // reversed
      strided(Dtype::float32, {200, 100}, {-1, 200}),                //
      strided(Dtype::float32, {3, 2, 2000}, {2000, 100000, 1}),      //
      strided(Dtype::uint8, {10}, {70000}),                          // far apart
  };
  for (View& view : views) {
    for (const bool swapped : {false, true}) {
      view.swapped = swapped;
      const Bytes storage = storage_for(view);
      check(storage, view);
    }
  }
  const char* rounds = std::getenv("PYWTS_TEST_ROUNDS");
  const int small = rounds != nullptr ? std::atoi(rounds) : 1500;
  for (int i = 0; i < small; ++i) {
    View view = random_view(i % 10 == 0 ? 100000 : 3000);
    const Bytes storage = storage_for(view);
    check(storage, view);
  }
  if (failures == 0) std::printf("%zu chosen and %d random views agree\n", views.size(), small);
  return failures == 0 ? 0 : 1;
}
