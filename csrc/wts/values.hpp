// The values that a .wts holds or would hold, whatever they come from: read in any part, compared, summed up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wts.hpp"
#include "wts/gather.hpp"
#include "wts/view.hpp"

namespace pywts {

// An open .wts. What its values are decoded by is asked in parts, so that a thread keeps its memory between them.
class WtsFile {
 public:
  explicit WtsFile(const std::string& path);                // throws wts::error
  WtsFile(const std::string& name, std::string_view text);  // the same for a text, which the caller keeps alive
  const wts::weights& weights() const noexcept { return weights_; }

 private:
  friend void read_line(const WtsFile&, const wts::tensor&, std::uint64_t, std::uint64_t, float*,
                        wts::detail::scratch&);
  explicit WtsFile(std::unique_ptr<wts::detail::book> book);
  const wts::detail::book* book_;
  wts::weights weights_;
};

// What a thread needs to read values, kept from one part to the next.
struct Workspace {
  Gatherer gatherer;
  wts::detail::scratch text;
};

// One tensor's values: a line of a .wts, or a view of a storage.
struct Values {
  std::shared_ptr<const WtsFile> file;  // null: a view
  const wts::tensor* line = nullptr;
  Storage storage;
  View view;

  std::uint64_t size() const noexcept { return file != nullptr ? line->count : numel(view); }

  // How many values are best read at a time: few where every part costs what it holds, many where it costs more.
  std::uint64_t part() const;
};

// Reads the values [begin, end) in C order, as a .wts holds them: of a view every NaN is quiet.
// Throws pywts::Error as Gatherer does (an overflow's index counts from the tensor's start), or wts::error.
void read(const Values& values, std::uint64_t begin, std::uint64_t end, std::uint32_t* bits, Workspace& workspace);

// How two tensors of one size differ.
struct Difference {
  std::uint64_t count = 0;  // of values whose bits differ
  std::uint64_t first = 0;  // the index of the first, and its bits on either side
  std::uint32_t a = 0, b = 0;
  std::uint64_t nans = 0;  // of values that are no number on one side or both, in other bits; not in what follows
  double most = 0;         // the largest |a - b|
  double sum = 0;          // of all |a - b|
  std::uint64_t ulp = 0;   // the most float32 numbers that any value is off by; -0 and 0 are one number
};

using Pair = std::pair<const Values*, const Values*>;

// Compares pairs of equal size, on as many threads as pay. With `first_only`, only the first difference of the first
// pair that has one is looked for: pairs after it, and figures, mean nothing.
std::vector<Difference> compare(const std::vector<Pair>& pairs, bool first_only);

// The CRC-32 of each tensor's values, as little-endian float32.
std::vector<std::uint32_t> checksums(const std::vector<const Values*>& all);

}  // namespace pywts
