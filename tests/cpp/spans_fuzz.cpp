// Whatever a view says of its storage: it is inside by the rule of sums, computed in 128 bits, or refused before a byte
// is read; what is inside gives the values that a walk over its indices gives.
//
// A libFuzzer target, and a test that its corpus passes (tests/corpus/spans).
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "wts/error.hpp"
#include "wts/gather.hpp"
#include "wts/widen.hpp"

namespace {

using pywts::Code;
using pywts::Error;
using pywts::Storage;
using pywts::View;
__extension__ using Wide = __int128;

constexpr std::size_t kMostValues = 1 << 16;

void require(bool holds) {
  if (!holds) std::abort();
}

// The fuzzer's bytes as small and as extreme numbers.
class Numbers {
 public:
  Numbers(const std::uint8_t* bytes, std::size_t size) : bytes_(bytes), left_(size) {}

  std::uint8_t byte() {
    if (left_ == 0) return 0;
    --left_;
    return *bytes_++;
  }

  std::int64_t number() {
    const std::uint8_t kind = byte();
    if (kind < 200) return kind % 20;
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | byte();
    return static_cast<std::int64_t>(kind < 210 ? value >> 33 : value);
  }

  std::vector<std::byte> rest() const {
    const auto* first = reinterpret_cast<const std::byte*>(bytes_);
    return {first, first + left_};
  }

 private:
  const std::uint8_t* bytes_;
  std::size_t left_;
};

bool holds(const View& view, std::size_t bytes) {
  Wide low = view.offset, high = view.offset;
  for (std::size_t axis = 0; axis < view.shape.size(); ++axis) {
    const Wide reach = (Wide{view.shape[axis]} - 1) * view.strides[axis];
    (reach < 0 ? low : high) += reach;
  }
  return low >= 0 && high < static_cast<Wide>(bytes / pywts::info(view.dtype).size);
}

void walk(const std::vector<std::byte>& storage, const View& view, std::vector<std::uint32_t>& bits) {
  const std::size_t size = pywts::info(view.dtype).size;
  std::vector<std::int64_t> index(view.shape.size());
  for (bool more = true; more;) {
    std::int64_t place = view.offset;
    for (std::size_t axis = 0; axis < index.size(); ++axis) place += index[axis] * view.strides[axis];
    std::byte element[8];
    std::memcpy(element, storage.data() + static_cast<std::size_t>(place) * size, size);
    if (view.swapped) std::reverse(element, element + size);
    std::uint32_t value = 0;
    if (pywts::widen(view.dtype)(element, 1, &value) == 0) throw Error(Code::overflow, 0);
    if (view.half) pywts::round_to_half(&value, 1);
    bits.push_back(value);
    more = false;
    for (std::size_t axis = index.size(); axis-- > 0 && !more;) {
      more = ++index[axis] < view.shape[axis];
      if (!more) index[axis] = 0;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t length) {
  Numbers numbers(bytes, length);
  View view;
  view.dtype = pywts::kDtypes[numbers.byte() % std::size(pywts::kDtypes)].dtype;
  const std::uint8_t options = numbers.byte();
  view.swapped = (options & 1) != 0;
  view.half = (options & 2) != 0;
  view.offset = numbers.number();
  Wide count = 1;
  for (int axes = numbers.byte() % 6; axes > 0; --axes) {
    const std::int64_t size = numbers.number();
    if (size < 0 || count * size >= Wide{1} << 62) return 0;  // who calls has checked that
    count *= size;
    view.shape.push_back(size);
    view.strides.push_back(numbers.number());
  }
  const std::vector<std::byte> held = numbers.rest();
  Storage storage;
  storage.memory = held.data();
  storage.size = held.size();
  const bool holding = count == 0 || holds(view, held.size());
  require(pywts::numel(view) == static_cast<std::uint64_t>(count));
  require(pywts::inside(view, storage.size) == holding);
  if (count > static_cast<Wide>(kMostValues)) return 0;
  std::vector<std::uint32_t> found, wanted;
  pywts::Gatherer gatherer;
  Code code = Code::cancelled;
  try {
    gatherer.gather(storage, view, [&](const std::uint32_t* bits, std::size_t taken) {
      found.insert(found.end(), bits, bits + taken);
    });
  } catch (const Error& error) {
    code = error.code;
  }
  if (count == 0) {
    require(found.empty());
    return 0;
  }
  if (!holding || held.empty()) {
    require(code == Code::out_of_bounds && found.empty());
    return 0;
  }
  try {
    walk(held, view, wanted);
  } catch (const Error&) {
    require(code == Code::overflow);
    return 0;
  }
  require(code == Code::cancelled && found == wanted);
  return 0;
}
