#include "wts/gather.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "wts/error.hpp"
#include "wts/file.hpp"
#include "wts/memory.hpp"
#include "wts/widen.hpp"

namespace pywts {
namespace {

constexpr std::size_t kChunk = 4096;                      // values that are widened and taken at a time
constexpr std::size_t kRead = std::size_t{256} << 10;     // bytes of one read that is used at once: stays in L2
constexpr std::size_t kHole = std::size_t{4} << 10;       // bytes that are cheaper read than leapt over
constexpr std::size_t kDirectRow = std::size_t{4} << 10;  // bytes of a row that is taken where it lies
constexpr std::size_t kStage = std::size_t{128} << 10;    // bytes gathered before they are widened
constexpr std::size_t kLongStage = std::size_t{2} << 20;  // the same where rows are so long that few fit
constexpr std::size_t kLine = 64;                         // bytes of a cache line
constexpr std::int64_t kLines = 4;                        // that are used one after another, where rows are long

// A dimension of a view: so many steps of so many elements.
struct Dim {
  std::int64_t count;
  std::int64_t stride;
};
using Dims = std::vector<Dim>;

std::int64_t magnitude(std::int64_t stride) noexcept { return stride < 0 ? -stride : stride; }

// Memory that grows and is kept; its content is lost when it grows.
class Buffer {
 public:
  std::byte* get(std::size_t size) {
    if (size > size_) {
      memory_.reset();
      memory_.reset(static_cast<std::byte*>(::operator new (size, std::align_val_t{kLine})));
      prepare_fresh(memory_.get(), size);
      size_ = size;
    }
    return memory_.get();
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const noexcept { ::operator delete (memory, std::align_val_t{kLine}); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t size_ = 0;
};

// ---------------------------------------------------------------------------------------------------- dimensions

// The view's dimensions without those of one step, and with those merged that lie one in another without a seam.
Dims collapse(const View& view) {
  Dims dims;
  for (std::size_t i = 0; i < view.shape.size(); ++i) {
    const Dim dim{view.shape[i], view.strides[i]};
    if (dim.count == 1) continue;
    std::int64_t whole = 0;
    std::int64_t count = 0;
    const bool seam = __builtin_mul_overflow(dim.count, dim.stride, &whole) || dims.empty() ||
                      dims.back().stride != whole || __builtin_mul_overflow(dims.back().count, dim.count, &count);
    if (seam) {
      dims.push_back(dim);
    } else {
      dims.back() = {count, dim.stride};
    }
  }
  return dims;
}

bool seamless(const Dims& dims) noexcept { return dims.empty() || (dims.size() == 1 && dims[0].stride == 1); }

// The elements from the first to the last that the dimensions from `begin` on touch, holes included.
std::int64_t span(const Dim* begin, const Dim* end) noexcept {
  std::int64_t result = 1;
  for (; begin != end; ++begin) result += magnitude(begin->stride) * (begin->count - 1);
  return result;
}

// The distance from the lowest element to the one at index 0.
std::int64_t below(const Dim* begin, const Dim* end) noexcept {
  std::int64_t result = 0;
  for (; begin != end; ++begin) result += begin->stride < 0 ? -begin->stride * (begin->count - 1) : 0;
  return result;
}

// Calls `visit` with the offset of every index of the dimensions, in C order.
template <class Visit>
void each(const Dim* begin, const Dim* end, std::int64_t offset, const Visit& visit) {
  if (begin == end) {
    visit(offset);
    return;
  }
  for (std::int64_t i = 0; i < begin->count; ++i) each(begin + 1, end, offset + i * begin->stride, visit);
}

// ---------------------------------------------------------------------------------------------------- copying

// A matrix in memory; steps in bytes.
struct Matrix {
  const std::byte* first;
  std::int64_t row_step;
  std::int64_t column_step;
  std::int64_t rows;
  std::int64_t columns;
};

template <class Element>
Element load(const std::byte* from) noexcept {
  Element element;
  std::memcpy(&element, from, sizeof element);
  return element;
}

// Element by element; `step` is a constant where the caller knows it.
template <class Element>
void copy_line(std::byte* to, const std::byte* from, std::int64_t step, std::int64_t count) noexcept {
  constexpr std::int64_t size = sizeof(Element);
  for (std::int64_t i = 0; i < count; ++i) {
    const auto element = load<Element>(from + i * step);
    std::memcpy(to + i * size, &element, size);
  }
}

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define PYWTS_SHUFFLES 1
#endif
#endif

#if PYWTS_SHUFFLES
// A square of elements in registers, a row each.
template <class Element>
struct Square {
  static constexpr std::size_t side = 16 / sizeof(Element);
  typedef Element Row __attribute__((vector_size(16)));

  template <std::size_t... I>
  static Row zip(Row a, Row b, std::index_sequence<I...>) noexcept {
    return __builtin_shufflevector(a, b, (I % 2 * side + I / 2)...);
  }
  template <std::size_t... I>
  static Row zip_rest(Row a, Row b, std::index_sequence<I...>) noexcept {
    return __builtin_shufflevector(a, b, (I % 2 * side + I / 2 + side / 2)...);
  }

  // Zipping the upper half with the lower one turns the bits of an element's index by one; as often as a row's index
  // has bits, and rows and columns have changed places.
  void turn() noexcept {
    constexpr auto all = std::make_index_sequence<side>();
    for (std::size_t bit = 1; bit < side; bit *= 2) {
      Square zipped;
      for (std::size_t i = 0; i < side / 2; ++i) {
        zipped.rows[2 * i] = zip(rows[i], rows[i + side / 2], all);
        zipped.rows[2 * i + 1] = zip_rest(rows[i], rows[i + side / 2], all);
      }
      *this = zipped;
    }
  }

  Row rows[side];
};
#endif

// A transposition, by tiles of one cache line each way. A tile goes through a block of its own, so that each line of
// both sides is touched just once: where lines are a power of two apart, they would push each other out of L1.
template <class Element>
void turn(std::byte* to, std::int64_t pitch, const Matrix& matrix) noexcept {
  constexpr auto size = static_cast<std::int64_t>(sizeof(Element));
  constexpr std::int64_t tile = static_cast<std::int64_t>(kLine) / size;
  constexpr std::int64_t kAhead = 1;  // tiles: no prefetcher foresees the next rows
  alignas(kLine) Element block[tile][tile];
  for (std::int64_t column = 0; column < matrix.columns; column += tile) {
    const std::int64_t columns = std::min(tile, matrix.columns - column);
    for (std::int64_t row = 0; row < matrix.rows; row += tile) {
      const std::int64_t rows = std::min(tile, matrix.rows - row);
      const std::byte* in = matrix.first + row * matrix.row_step + column * matrix.column_step;
      std::byte* out = to + row * pitch + column * size;
      for (std::int64_t c = 0; c < columns; ++c) {
        auto* line = reinterpret_cast<std::byte*>(block[c]);
        __builtin_prefetch(in + (c + kAhead * tile) * matrix.column_step);
        if (rows == tile && matrix.row_step == size) {
          std::memcpy(line, in + c * matrix.column_step, kLine);
        } else {
          copy_line<Element>(line, in + c * matrix.column_step, matrix.row_step, rows);
        }
      }
      std::int64_t turned_rows = 0;
      std::int64_t turned_columns = 0;
#if PYWTS_SHUFFLES
      constexpr auto side = static_cast<std::int64_t>(Square<Element>::side);
      turned_rows = rows - rows % side;
      turned_columns = columns - columns % side;
      for (std::int64_t r = 0; r < turned_rows; r += side) {
        for (std::int64_t c = 0; c < turned_columns; c += side) {
          Square<Element> square;
          for (std::int64_t i = 0; i < side; ++i) std::memcpy(&square.rows[i], &block[c + i][r], 16);
          square.turn();
          for (std::int64_t i = 0; i < side; ++i) std::memcpy(out + (r + i) * pitch + c * size, &square.rows[i], 16);
        }
      }
#endif
      for (std::int64_t c = 0; c < columns; ++c) {
        for (std::int64_t r = c < turned_columns ? turned_rows : 0; r < rows; ++r) {
          std::memcpy(out + r * pitch + c * size, &block[c][r], sizeof(Element));
        }
      }
    }
  }
}

// Copies a matrix to rows that are `pitch` bytes apart and dense in themselves.
template <class Element>
void copy_typed(std::byte* to, std::int64_t pitch, const Matrix& matrix) noexcept {
  constexpr std::int64_t size = sizeof(Element);
  const bool across = matrix.row_step != 0 && magnitude(matrix.row_step) < magnitude(matrix.column_step);
  if (across && matrix.rows > 1) return turn<Element>(to, pitch, matrix);
  const std::int64_t bytes = matrix.columns * size;
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    std::byte* out = to + row * pitch;
    const std::byte* in = matrix.first + row * matrix.row_step;
    if (matrix.column_step != size) {
      copy_line<Element>(out, in, matrix.column_step, matrix.columns);
    } else if (bytes < static_cast<std::int64_t>(kLine)) {
      copy_line<Element>(out, in, size, matrix.columns);
    } else {
      std::memcpy(out, in, static_cast<std::size_t>(bytes));
    }
  }
}

void copy(std::byte* to, std::int64_t pitch, const Matrix& matrix, std::size_t element) noexcept {
  switch (element) {
    case 1:
      return copy_typed<std::uint8_t>(to, pitch, matrix);
    case 2:
      return copy_typed<std::uint16_t>(to, pitch, matrix);
    case 4:
      return copy_typed<std::uint32_t>(to, pitch, matrix);
    default:
      return copy_typed<std::uint64_t>(to, pitch, matrix);
  }
}

// ---------------------------------------------------------------------------------------------------- widening

// Takes elements in C order, in any portions, and passes their values on.
class Values {
 public:
  Values(const View& view, const TakeBits& take, std::int64_t first, std::byte* chunk, std::byte* stage,
         Buffer& long_stage)
      : widen_(widen(view.dtype)),
        size_(info(view.dtype).size),
        swapped_(view.swapped && size_ > 1),
        half_(view.half),
        direct_(view.dtype == Dtype::float32 && !swapped_ && !half_),
        take_(take),
        chunk_(chunk),
        stage_(stage),
        long_stage_(long_stage),
        passed_(first) {}

  // `count` elements that lie one after another.
  void dense(const std::byte* elements, std::int64_t count) {
    flush();
    pass(elements, count);
  }

  // Room for `count` elements that the caller writes at once, before anything else is called.
  std::byte* room(std::int64_t count) {
    const std::size_t bytes = static_cast<std::size_t>(count) * size_;
    if (staged_ + bytes > capacity_) {
      flush();
      staging_ = bytes > kStage ? long_stage_.get(bytes) : stage_;
      capacity_ = std::max(kStage, bytes);
    }
    std::byte* result = staging_ + staged_;
    staged_ += bytes;
    return result;
  }

  void flush() {
    const auto count = static_cast<std::int64_t>(std::exchange(staged_, 0) / size_);
    pass(staging_, count);
  }

 private:
  void pass(const std::byte* elements, std::int64_t count) {
    if (direct_ && reinterpret_cast<std::uintptr_t>(elements) % alignof(std::uint32_t) == 0) {
      if (count > 0) take_(reinterpret_cast<const std::uint32_t*>(elements), static_cast<std::size_t>(count));
      passed_ += count;
      return;
    }
    auto* bits = reinterpret_cast<std::uint32_t*>(chunk_);
    std::byte* native = chunk_ + kChunk * sizeof *bits;
    while (count > 0) {
      const std::size_t part = std::min(kChunk, static_cast<std::size_t>(count));
      const std::byte* source = elements;
      if (swapped_) {
        std::memcpy(native, elements, part * size_);
        swap_bytes(native, part, size_);
        source = native;
      }
      const std::size_t widened = widen_(source, part, bits);
      if (widened != part) throw Error(Code::overflow, passed_ + static_cast<std::int64_t>(widened));
      if (half_) round_to_half(bits, part);
      take_(bits, part);
      elements += part * size_;
      count -= static_cast<std::int64_t>(part);
      passed_ += static_cast<std::int64_t>(part);
    }
  }

  Widen widen_;
  std::size_t size_;
  bool swapped_;
  bool half_;
  bool direct_;
  const TakeBits& take_;
  std::byte* chunk_;  // kChunk values, then kChunk elements
  std::byte* stage_;
  Buffer& long_stage_;
  std::byte* staging_ = nullptr;  // one of the two
  std::size_t capacity_ = 0;
  std::size_t staged_ = 0;
  std::int64_t passed_;
};

// ---------------------------------------------------------------------------------------------------- in memory

// Passes on a box of elements in memory, `first` being the one at index 0.
class Box {
 public:
  Box(Values& values, std::size_t element) : values_(values), size_(static_cast<std::int64_t>(element)) {}

  // At least one dimension.
  void walk(const std::byte* first, const Dim* begin, const Dim* end) {
    const Dim inner = end[-1];
    if (inner.stride == 1 && inner.count * size_ >= static_cast<std::int64_t>(kDirectRow)) {
      each(begin, end - 1, 0, [&](std::int64_t offset) { values_.dense(first + offset * size_, inner.count); });
      return;
    }
    const Dim* fast = fastest(begin, end);
    if (fast == end - 1 || !transpose(first, begin, fast, end)) rows(first, begin, end);
  }

 private:
  // The dimension whose steps are shortest in memory.
  static const Dim* fastest(const Dim* begin, const Dim* end) noexcept {
    const Dim* result = end - 1;
    for (const Dim* dim = end - 1; dim >= begin; --dim) {
      if (dim->stride != 0 && (result->stride == 0 || magnitude(dim->stride) < magnitude(result->stride))) result = dim;
    }
    return result;
  }

  // Row by row, where the innermost dimension is the fastest or nothing can be done about it.
  void rows(const std::byte* first, const Dim* begin, const Dim* end) {
    const Dim inner = end[-1];
    const bool single = end - begin == 1;
    const Dim outer = single ? Dim{1, 0} : end[-2];
    const std::int64_t columns = std::min<std::int64_t>(inner.count, kChunk);
    const std::int64_t lines = std::max<std::int64_t>(1, static_cast<std::int64_t>(kChunk) / columns);
    each(begin, end - (single ? 1 : 2), 0, [&](std::int64_t offset) {
      for (std::int64_t row = 0; row < outer.count; row += lines) {
        for (std::int64_t column = 0; column < inner.count; column += columns) {
          const std::int64_t from = offset + row * outer.stride + column * inner.stride;
          const Matrix part{first + from * size_, outer.stride * size_, inner.stride * size_,
                            std::min(lines, outer.count - row), std::min(columns, inner.count - column)};
          copy(values_.room(part.rows * part.columns), part.columns * size_, part, static_cast<std::size_t>(size_));
        }
      }
    });
  }

  // Several steps of the fastest dimension at a time, with all that C order has inside it, so that every line of
  // memory that is touched is used. False if even one step is too large for that.
  bool transpose(const std::byte* first, const Dim* begin, const Dim* fast, const Dim* end) {
    const Dim inner = end[-1];
    std::int64_t inside = 1;
    for (const Dim* dim = fast + 1; dim != end; ++dim) inside *= dim->count;
    const std::int64_t bytes = inside * size_;
    const std::int64_t line = static_cast<std::int64_t>(kLine) / size_;
    std::int64_t steps = static_cast<std::int64_t>(kStage) / bytes / line * line;
    if (steps < kLines * line) steps = std::min(kLines * line, static_cast<std::int64_t>(kLongStage) / bytes);
    if (steps == 0) return false;
    if (steps > line) steps -= steps % line;
    each(begin, fast, 0, [&](std::int64_t outer) {
      for (std::int64_t step = 0; step < fast->count; step += steps) {
        const std::int64_t count = std::min(steps, fast->count - step);
        std::byte* to = values_.room(count * inside);
        each(fast + 1, end - 1, outer + step * fast->stride, [&](std::int64_t offset) {
          const Matrix part{first + offset * size_, fast->stride * size_, inner.stride * size_, count, inner.count};
          copy(to, bytes, part, static_cast<std::size_t>(size_));
          to += inner.count * size_;
        });
      }
    });
    return true;
  }

  Values& values_;
  std::int64_t size_;
};

// ---------------------------------------------------------------------------------------------------- from a file

// Reads parts of a strided view that fit the memory, whole spans or stripes, and passes them on.
class Slabs {
 public:
  Slabs(const File& file, Box& box, std::size_t element, std::size_t budget, Buffer& held, std::byte* passing)
      : file_(file),
        box_(box),
        size_(static_cast<std::int64_t>(element)),
        budget_(std::max<std::int64_t>(1, static_cast<std::int64_t>(budget) / size_)),
        near_(std::min(budget_, static_cast<std::int64_t>(kRead) / size_)),
        held_(held),
        passing_(passing) {}

  void walk(std::int64_t offset, const Dims& dims) {
    const Dim* begin = dims.data();
    const Dim* end = begin + dims.size();
    const Cut cut = choose(begin, end);
    std::int64_t last_offset = 0;
    std::int64_t last_count = 0;
    Dims part(cut.dim, end);
    each(begin, cut.dim, offset, [&](std::int64_t outer) {
      for (std::int64_t step = 0; step < cut.dim->count; step += cut.steps) {
        const std::int64_t at = outer + step * cut.dim->stride;
        const std::int64_t count = std::min(cut.steps, cut.dim->count - step);
        if (at != last_offset || count != last_count) {  // else a repetition of what is held
          part.front() = {count, cut.dim->stride};
          if (cut.whole) {
            load_span(at, part);
          } else {
            load_stripes(at, part);
          }
          last_offset = at;
          last_count = count;
        }
        box_.walk(first_, loaded_.data(), loaded_.data() + loaded_.size());
      }
    });
  }

 private:
  // A slab is `steps` steps of `dim` with all dimensions inside it; outside it, one index at a time.
  struct Cut {
    const Dim* dim;
    std::int64_t steps;
    bool whole;  // reads the slab's span with its holes, else only stripes of it
  };

  // How many steps of `dim` fit `limit` elements, if one step spans `inside`.
  static std::int64_t fitting(std::int64_t limit, const Dim& dim, std::int64_t inside) noexcept {
    if (inside > limit) return 0;
    if (dim.stride == 0) return dim.count;
    return std::min(dim.count, (limit - inside) / magnitude(dim.stride) + 1);
  }

  Cut choose(const Dim* begin, const Dim* end) const {
    // Outer dimensions whose steps leap over all that lies inside them: cut there, nothing is read twice.
    const Dim* lead = begin;
    while (lead != end) {
      const std::int64_t inside = span(lead + 1, end);
      if (lead->stride == 0 ? inside <= budget_ : magnitude(lead->stride) < inside) break;
      ++lead;
    }
    for (const Dim* dim = begin; dim != lead; ++dim) {
      const std::int64_t inside = span(dim + 1, end);
      if (inside > near_) continue;
      const bool leap = (magnitude(dim->stride) - inside) * size_ > static_cast<std::int64_t>(kHole);
      return {dim, leap ? 1 : fitting(near_, *dim, inside), true};
    }
    if (lead != begin && span(lead, end) <= budget_) return {lead - 1, 1, true};
    for (const Dim* dim = lead;; ++dim) {
      std::int64_t packed = 1;
      for (const Dim* inner = dim + 1; inner != end && packed <= budget_; ++inner) {
        if (inner->stride != 0) packed *= inner->count;
      }
      const std::int64_t whole = fitting(budget_, *dim, span(dim + 1, end));
      const std::int64_t striped = packed > budget_ ? 0 : dim->stride == 0 ? dim->count : budget_ / packed;
      if (whole == 0 && striped == 0) continue;
      const bool span_pays = whole >= std::min(striped, dim->count) / 2;
      std::int64_t steps = std::max<std::int64_t>(1, span_pays ? whole : striped);
      const std::int64_t line = static_cast<std::int64_t>(kLine) / size_;
      if (!span_pays && steps > line) steps -= steps % line;  // so that stripes start at cache lines
      return {dim, steps, span_pays};
    }
  }

  void load_span(std::int64_t offset, const Dims& dims) {
    const Dim* begin = dims.data();
    const Dim* end = begin + dims.size();
    const std::int64_t under = below(begin, end);
    const auto bytes = static_cast<std::size_t>(span(begin, end) * size_);
    std::byte* to = held_.get(bytes);
    file_.read(to, static_cast<std::uint64_t>((offset - under) * size_), bytes);
    first_ = to + under * size_;
    loaded_ = dims;
  }

  // Reads what the dimensions touch in the storage's order and packs it without holes.
  void load_stripes(std::int64_t offset, const Dims& dims) {
    offset -= below(dims.data(), dims.data() + dims.size());
    loaded_ = dims;
    std::vector<Dim*> order;
    for (Dim& dim : loaded_) {
      if (dim.stride != 0) order.push_back(&dim);
    }
    std::stable_sort(order.begin(), order.end(),
                     [](const Dim* a, const Dim* b) { return magnitude(a->stride) < magnitude(b->stride); });
    Dims stored;  // the same dimensions as the storage has them, slowest first
    std::int64_t packed = 1;
    std::int64_t under = 0;
    for (Dim* dim : order) {
      stored.insert(stored.begin(), {dim->count, magnitude(dim->stride)});
      if (dim->stride < 0) under += packed * (dim->count - 1);
      dim->stride = dim->stride < 0 ? -packed : packed;
      packed *= dim->count;
    }
    std::byte* to = held_.get(static_cast<std::size_t>(packed * size_));
    first_ = to + under * size_;

    // One read takes the innermost dimensions, as long as what lies between their parts is short.
    const Dim* begin = stored.data();
    const Dim* end = begin + stored.size();
    const Dim* cut = end;  // read together: the dimensions from `cut` on, and `steps` steps of the one before
    std::int64_t extent = 1;
    std::int64_t elements = 1;
    std::int64_t steps = 1;
    while (cut != begin) {
      const Dim& dim = cut[-1];
      if ((dim.stride - extent) * size_ > static_cast<std::int64_t>(kHole)) break;
      const bool dense = extent == elements && dim.stride == extent;
      const auto limit = static_cast<std::int64_t>(dense ? File::kLongRead : kRead) / size_;
      const std::int64_t fit = fitting(limit, dim, extent);
      if (fit < dim.count) {
        steps = std::max<std::int64_t>(1, fit);
        break;
      }
      extent += dim.stride * (dim.count - 1);
      elements *= dim.count;
      --cut;
    }
    const Dim partial = cut == begin ? Dim{1, 0} : cut[-1];
    Dims read(cut, end);
    read.insert(read.begin(), partial);
    each(begin, cut == begin ? cut : cut - 1, offset, [&](std::int64_t outer) {
      for (std::int64_t step = 0; step < partial.count; step += steps) {
        read.front().count = std::min(steps, partial.count - step);
        to = load_piece(to, outer + step * partial.stride, read);
      }
    });
  }

  // Reads the span of `dims` (slowest first, no negative strides) and packs it at `to`; returns the packed end.
  std::byte* load_piece(std::byte* to, std::int64_t offset, const Dims& dims) {
    const Dim* begin = dims.data();
    const Dim* end = begin + dims.size();
    std::int64_t elements = 1;
    for (const Dim& dim : dims) elements *= dim.count;
    const auto bytes = static_cast<std::size_t>(span(begin, end) * size_);
    const bool dense = span(begin, end) == elements;
    std::byte* from = dense ? to : passing_;
    file_.read(from, static_cast<std::uint64_t>(offset * size_), bytes);
    if (dense) return to + bytes;
    const Dim inner = dims.size() > 1 ? end[-1] : Dim{1, 0};
    const Dim outer = dims.size() > 1 ? end[-2] : end[-1];
    each(begin, end - std::min<std::ptrdiff_t>(2, end - begin), 0, [&](std::int64_t at) {
      const Matrix part{from + at * size_, outer.stride * size_, inner.stride * size_, outer.count, inner.count};
      copy(to, inner.count * size_, part, static_cast<std::size_t>(size_));
      to += outer.count * inner.count * size_;
    });
    return to;
  }

  const File& file_;
  Box& box_;
  std::int64_t size_;
  std::int64_t budget_;  // elements that are held at most
  std::int64_t near_;    // elements that are read and used at once, in L2
  Buffer& held_;
  std::byte* passing_;                // kRead bytes
  const std::byte* first_ = nullptr;  // of what is held: the element at index 0
  Dims loaded_;                       // its dimensions
};

}  // namespace

// ---------------------------------------------------------------------------------------------------- the interface

std::uint64_t numel(const View& view) noexcept {
  std::uint64_t result = 1;
  for (const std::int64_t count : view.shape) result *= static_cast<std::uint64_t>(count);
  return result;
}

bool inside(const View& view, std::uint64_t storage_size) noexcept {
  if (view.shape.size() != view.strides.size()) return false;
  bool empty = false;
  for (const std::int64_t count : view.shape) {
    if (count < 0) return false;
    empty = empty || count == 0;
  }
  if (empty) return true;
  std::int64_t low = view.offset;
  std::int64_t high = view.offset;
  for (std::size_t i = 0; i < view.shape.size(); ++i) {
    std::int64_t reach = 0;
    if (__builtin_mul_overflow(view.shape[i] - 1, view.strides[i], &reach)) return false;
    std::int64_t& end = reach < 0 ? low : high;
    if (__builtin_add_overflow(end, reach, &end)) return false;
  }
  return low >= 0 && static_cast<std::uint64_t>(high) < storage_size / info(view.dtype).size;
}

bool contiguous(const View& view) { return seamless(collapse(view)); }

struct Gatherer::Memory {
  Buffer own;
  std::byte* passing;  // of a file: read, used at once
  std::byte* stage;    // elements put in C order
  std::byte* chunk;    // values that are being widened
  Buffer long_stage;
  Buffer held;  // of a file: the part of a strided tensor that is walked
};

Gatherer::Gatherer(Pulse pulse, std::size_t budget, std::byte* memory)
    : pulse_(std::move(pulse)), budget_(budget), memory_(std::make_unique<Memory>()) {
  static_assert(kRead + kStage + kChunk * (sizeof(std::uint32_t) + sizeof(std::uint64_t)) == kMemory);
  memory_->passing = memory != nullptr ? memory : memory_->own.get(kMemory);
  memory_->stage = memory_->passing + kRead;
  memory_->chunk = memory_->stage + kStage;
}

Gatherer::~Gatherer() = default;

void Gatherer::gather(const Storage& storage, const View& view, const TakeBits& take) {
  if (!inside(view, storage.size)) throw Error(Code::out_of_bounds);
  const std::uint64_t count = numel(view);
  if (count == 0) return;
  const Dims dims = collapse(view);
  if (seamless(dims)) return gather(storage, view, 0, count, take);

  check(storage);
  const DefaultFloatEnvironment environment;
  const std::size_t element = info(view.dtype).size;
  Values values(view, take, 0, memory_->chunk, memory_->stage, memory_->long_stage);
  Box box(values, element);
  if (storage.file < 0) {
    box.walk(storage.memory + view.offset * static_cast<std::int64_t>(element), dims.data(), dims.data() + dims.size());
  } else {
    const File file(storage, pulse_);
    Slabs(file, box, element, budget_, memory_->held, memory_->passing).walk(view.offset, dims);
  }
  values.flush();
}

void Gatherer::gather(const Storage& storage, const View& view, std::uint64_t first, std::uint64_t count,
                      const TakeBits& take, const TakeBytes& read) {
  check(storage);
  const std::size_t element = info(view.dtype).size;
  const std::uint64_t elements = storage.size / element;
  if (view.offset < 0 || first > elements || count > elements - first ||
      static_cast<std::uint64_t>(view.offset) > elements - first - count) {
    throw Error(Code::out_of_bounds);
  }
  const DefaultFloatEnvironment environment;
  Values values(view, take, static_cast<std::int64_t>(first), memory_->chunk, memory_->stage, memory_->long_stage);
  std::uint64_t offset = (static_cast<std::uint64_t>(view.offset) + first) * element;
  if (storage.file < 0) return values.dense(storage.memory + offset, static_cast<std::int64_t>(count));
  const File file(storage, pulse_);
  for (std::uint64_t left = count * element; left > 0;) {
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(left, kRead));
    file.read(memory_->passing, offset, part);
    if (read) read(memory_->passing, part);
    values.dense(memory_->passing, static_cast<std::int64_t>(part / element));
    offset += part;
    left -= part;
  }
}

void gather(const Storage& storage, const View& view, const TakeBits& take) { Gatherer().gather(storage, view, take); }

}  // namespace pywts
