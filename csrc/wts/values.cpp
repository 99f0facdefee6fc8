#include "wts/values.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "wts/checksum.hpp"
#include "wts/error.hpp"
#include "wts/parallel.hpp"

namespace pywts {

// The values [begin, end) of a line.
void read_line(const WtsFile& file, const wts::tensor& line, std::uint64_t begin, std::uint64_t end, float* values,
               wts::detail::scratch& scratch) {
  const bool plain = wts::detail::is_plain(line.dialect);
  wts::error why;
  while (begin < end) {
    const std::uint64_t stop =
        plain ? std::min(end, begin + wts::detail::chunk) : end;  // what the scratch has room for
    const wts::detail::piece piece{&line, begin, stop, values};
    const wts::detail::group group{0, 1, piece.from(), piece.to()};
    if (!wts::detail::decode_group(*file.book_, {piece}, group, scratch, why)) throw wts::error(why);
    values += stop - begin;
    begin = stop;
  }
}

namespace {

constexpr std::uint64_t kPart = wts::detail::chunk;          // values: text and both sides stay near L2
constexpr std::uint64_t kLongPart = std::uint64_t{4} << 20;  // where a part costs more than it holds

// Calls `take` with views that hold the elements [begin, end) of a view, in C order: one for a contiguous view, else
// some for each axis that the range does not cover.
template <class Take>
void cut(const View& view, std::uint64_t begin, std::uint64_t end, const Take& take) {
  View part = view;
  if (contiguous(view)) {
    part.offset += static_cast<std::int64_t>(begin);
    part.shape = {static_cast<std::int64_t>(end - begin)};
    part.strides = {1};
    return take(part);
  }
  const auto rows = [&](std::uint64_t first, std::uint64_t count) {
    part.offset = view.offset + static_cast<std::int64_t>(first) * view.strides[0];
    part.shape = view.shape;
    part.strides = view.strides;
    part.shape[0] = static_cast<std::int64_t>(count);
  };
  const std::uint64_t row = numel(view) / static_cast<std::uint64_t>(view.shape[0]);
  const auto within_row = [&](std::uint64_t index, std::uint64_t from, std::uint64_t to) {
    rows(index, 1);
    part.shape.erase(part.shape.begin());
    part.strides.erase(part.strides.begin());
    const View inner = part;
    cut(inner, from, to, take);
  };
  while (begin < end) {
    const std::uint64_t index = begin / row, from = begin % row;
    const std::uint64_t whole = from == 0 ? (end - begin) / row : 0;
    if (whole > 0) {
      rows(index, whole);
      take(part);
      begin += whole * row;
    } else {
      const std::uint64_t to = std::min(row, from + (end - begin));
      within_row(index, from, to);
      begin += to - from;
    }
  }
}

// As a kernel writes them: every NaN of a view quiet. A line's bits stay as they are.
void quieten(const Values& values, std::uint32_t* bits, std::size_t count) noexcept {
  if (values.file != nullptr) return;
  for (std::size_t i = 0; i < count; ++i) {
    const auto magnitude = static_cast<std::int32_t>(bits[i] & 0x7fffffff);
    bits[i] |= magnitude > 0x7f800000 ? 0x00400000u : 0u;
  }
}

// Hands the values [begin, end) of a view to `take`, in C order; a signalling NaN may stay one.
void walk(const Values& values, std::uint64_t begin, std::uint64_t end, Workspace& workspace, const TakeBits& take) {
  if (!inside(values.view, values.storage.size)) throw Error(Code::out_of_bounds);  // before it is cut: that may wrap
  try {
    cut(values.view, begin, end, [&](const View& part) {
      workspace.gatherer.gather(values.storage, part, take);
      begin += numel(part);
    });
  } catch (const Error& error) {
    if (error.code != Code::overflow) throw;
    throw Error(Code::overflow, error.index + static_cast<std::int64_t>(begin), error.system_error);
  }
}

// Reads values; a signalling NaN of a view may stay one.
void read_raw(const Values& values, std::uint64_t begin, std::uint64_t end, std::uint32_t* bits, Workspace& workspace) {
  if (begin >= end) return;
  if (values.file != nullptr) {
    read_line(*values.file, *values.line, begin, end, reinterpret_cast<float*>(bits), workspace.text);
    return;
  }
  walk(values, begin, end, workspace, [&](const std::uint32_t* from, std::size_t count) {
    std::memcpy(bits, from, count * sizeof *bits);
    bits += count;
  });
}

// Whether a view holds these very bits.
bool holds(const Values& values, std::uint64_t begin, std::uint64_t end, const std::uint32_t* bits,
           Workspace& workspace) {
  bool same = true;
  walk(values, begin, end, workspace, [&](const std::uint32_t* found, std::size_t count) {
    same = same && std::memcmp(found, bits, count * sizeof *bits) == 0;
    bits += count;
  });
  return same;
}

bool is_nan(std::uint32_t bits) noexcept { return (bits & 0x7fffffff) > 0x7f800000; }

double number(std::uint32_t bits) noexcept {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return static_cast<double>(value);
}

// The place of a number among all of float32.
std::int64_t rank(std::uint32_t bits) noexcept {
  const auto magnitude = static_cast<std::int64_t>(bits & 0x7fffffff);
  return (bits >> 31) != 0 ? -magnitude : magnitude;
}

// Adds up how values differ from each other, which begin at `start` of their tensor.
void add(Difference& sum, const std::uint32_t* a, const std::uint32_t* b, std::size_t count, std::uint64_t start,
         bool first_only) {
  for (std::size_t i = 0; i < count; ++i) {
    if (a[i] == b[i]) continue;
    if (sum.count++ == 0) sum.first = start + i, sum.a = a[i], sum.b = b[i];
    if (first_only) return;
    if (is_nan(a[i]) || is_nan(b[i])) {
      ++sum.nans;
      continue;
    }
    const double off = std::fabs(number(a[i]) - number(b[i]));
    sum.most = std::max(sum.most, off);
    sum.sum += off;
    sum.ulp = std::max(sum.ulp, static_cast<std::uint64_t>(std::llabs(rank(a[i]) - rank(b[i]))));
  }
}

void join(Difference& sum, const Difference& part) noexcept {
  if (part.count == 0) return;
  if (sum.count == 0) sum.first = part.first, sum.a = part.a, sum.b = part.b;
  sum.count += part.count;
  sum.nans += part.nans;
  sum.most = std::max(sum.most, part.most);
  sum.sum += part.sum;
  sum.ulp = std::max(sum.ulp, part.ulp);
}

std::unique_ptr<wts::detail::book> opened(const std::string& path, const std::string_view* text = nullptr) {
  std::unique_ptr<wts::detail::book> book;
  wts::error why;
  if (!wts::detail::open(path, text, {}, book, why)) throw wts::error(why);
  return book;
}

}  // namespace

WtsFile::WtsFile(const std::string& path) : WtsFile(opened(path)) {}
WtsFile::WtsFile(const std::string& name, std::string_view text) : WtsFile(opened(name, &text)) {}
WtsFile::WtsFile(std::unique_ptr<wts::detail::book> book) : book_(book.get()), weights_(std::move(book)) {}

std::uint64_t Values::part() const {
  const bool cheap = file != nullptr ? wts::detail::is_plain(line->dialect) : contiguous(view);
  return cheap ? kPart : kLongPart;
}

void read(const Values& values, std::uint64_t begin, std::uint64_t end, std::uint32_t* bits, Workspace& workspace) {
  read_raw(values, begin, end, bits, workspace);
  quieten(values, bits, static_cast<std::size_t>(end - begin));
}

std::vector<Difference> compare(const std::vector<Pair>& pairs, bool first_only) {
  struct Task {
    std::size_t pair;
    std::uint64_t begin, end;
  };
  std::vector<Task> tasks;
  std::uint64_t values = 0;
  std::uint64_t longest = 0;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const std::uint64_t size = pairs[i].first->size();
    const std::uint64_t part = std::max(pairs[i].first->part(), pairs[i].second->part());
    for (std::uint64_t begin = 0; begin < size; begin += part)
      tasks.push_back({i, begin, std::min(size, begin + part)});
    longest = std::max(longest, std::min(part, size));
    values += size;
  }
  std::vector<Difference> found(tasks.size());
  std::atomic<std::size_t> last{tasks.size()};  // tasks from there on are not needed any more
  in_parallel(values, tasks.size(), [&](std::atomic<std::size_t>& next) {
    Workspace workspace;
    const auto a = std::make_unique<std::uint32_t[]>(static_cast<std::size_t>(longest));
    const auto b = std::make_unique<std::uint32_t[]>(static_cast<std::size_t>(longest));
    for (std::size_t i; (i = next++) < last;) {
      const Task& task = tasks[i];
      const auto [left, right] = pairs[task.pair];
      const auto count = static_cast<std::size_t>(task.end - task.begin);
      read_raw(*left, task.begin, task.end, a.get(), workspace);
      if (right->file == nullptr && holds(*right, task.begin, task.end, a.get(), workspace)) continue;
      read_raw(*right, task.begin, task.end, b.get(), workspace);
      if (std::memcmp(a.get(), b.get(), count * sizeof(std::uint32_t)) == 0) continue;
      quieten(*left, a.get(), count);
      quieten(*right, b.get(), count);
      add(found[i], a.get(), b.get(), count, task.begin, first_only);
      if (first_only && found[i].count > 0) {
        std::size_t known = last;
        while (i + 1 < known && !last.compare_exchange_weak(known, i + 1)) {
        }
      }
    }
  });
  std::vector<Difference> result(pairs.size());
  for (std::size_t i = 0; i < tasks.size(); ++i) join(result[tasks[i].pair], found[i]);
  return result;
}

std::vector<std::uint32_t> checksums(const std::vector<const Values*>& all) {
  std::uint64_t values = 0;
  std::uint64_t longest = 0;
  for (const Values* each : all) {
    values += each->size();
    longest = std::max(longest, std::min(each->size(), each->part()));
  }
  std::vector<std::uint32_t> sums(all.size());
  in_parallel(values, all.size(), [&](std::atomic<std::size_t>& next) {
    Workspace workspace;
    const auto bits = std::make_unique<std::uint32_t[]>(static_cast<std::size_t>(longest));
    for (std::size_t i; (i = next++) < all.size();) {
      const std::uint64_t size = all[i]->size(), part = all[i]->part();
      for (std::uint64_t begin = 0; begin < size; begin += part) {
        const std::uint64_t end = std::min(size, begin + part);
        read(*all[i], begin, end, bits.get(), workspace);
        sums[i] = crc32(sums[i], bits.get(), static_cast<std::size_t>(end - begin) * sizeof(std::uint32_t));
      }
    }
  });
  return sums;
}

}  // namespace pywts
