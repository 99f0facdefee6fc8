// wts.hpp: a fast, checked reader of .wts files, the text that TensorRT programs read weights from. C++17, this file
// alone, nothing to build. docs/format.md says what a .wts is.
//
//   #include "wts.hpp"
//   auto weights = wts::open("model.wts");  // throws wts::error if it is no sound .wts
//   wts::span<const float> w = weights.at("model.0.conv.weight", 432);  // throws: no such name, not 432 values, damage
//   for (const wts::tensor& tensor : weights) std::cout << tensor.name << ' ' << tensor.count << '\n';
//
// A program that copied loadWeights() includes NvInfer.h first and says `using wts::loadWeights;` instead of the copy.
// A program without exceptions uses try_open(), find() and the other functions that return an error; compiled with
// -fno-exceptions, a function that would throw prints its error and aborts.
//
// Opening reads the head and the end of every line and leaps over the values between (eight digits and a space each),
// so it takes a millisecond or two however large the file is. Values are checked digit by digit when they are decoded;
// nothing wrong is ever read as a number. The file is read, never mapped: if it shrinks, that is an error, not a
// signal.
//
// Every const member function may be called from several threads at once. Larger work is spread over threads, so link
// with -pthread on Linux before glibc 2.34 (the CMake target wts::wts does).
#ifndef WTS_HPP
#define WTS_HPP

#if __cplusplus < 201703L && (!defined(_MSVC_LANG) || _MSVC_LANG < 201703L)
#error "wts.hpp needs C++17: compile with -std=c++17, or set(CMAKE_CXX_STANDARD 17)"
#endif

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(_WIN32)
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>
#else
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#if defined(__linux__)
#include <sys/mman.h>
#endif
#endif

// The instruction sets that this build can hold. Functions name theirs in a target attribute: no compiler flags needed.
#if defined(__x86_64__) || (defined(_M_X64) && !defined(_M_ARM64EC))
#define WTS_X86 1
#include <immintrin.h>
#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#elif (defined(__aarch64__) && defined(__ARM_NEON) && !defined(__AARCH64EB__)) || defined(_M_ARM64)
#define WTS_NEON 1
#include <arm_neon.h>
#endif

#if defined(__GNUC__) || defined(__clang__)
#define WTS_TARGET(features) __attribute__((target(features)))
#define WTS_TARGET_INLINE(features) __attribute__((target(features), always_inline)) inline
#else
#define WTS_TARGET(features)
#define WTS_TARGET_INLINE(features) __forceinline
#endif

// Units with and without exceptions may meet in one program: each kind has names of its own.
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define WTS_EXCEPTIONS 1
#define WTS_ABI v1
#else
#define WTS_EXCEPTIONS 0
#define WTS_ABI v1_without_exceptions
#endif

namespace wts {
inline namespace WTS_ABI {

// ---------------------------------------------------------------------------------------------------------------------
// Errors
// ---------------------------------------------------------------------------------------------------------------------

enum class errc : std::uint8_t {
  none,
  file,       // the system refused to open or to read the file
  not_wts,    // it is something else; the text says what
  head,       // the first line is no count of tensors
  line,       // a line does not begin with a name and a number of values
  digit,      // a value is not written as its dialect demands
  values,     // a line holds fewer or more values than it announces
  cut,        // the file ends too early
  trailing,   // text after the last tensor
  duplicate,  // two tensors of one name
  missing,    // no tensor of this name
  count,      // the tensor holds another number of values than the caller expects
  range,      // the caller asks for values outside the tensor
  changed,    // the file has shrunk since it was opened
  kernel,     // WTS_KERNEL, or the caller, names a kernel that this build or this processor lacks
  memory,     // out of memory
};

// What went wrong and where. Copies may allocate: catch it by reference.
class error : public std::exception {
 public:
  const char* what() const noexcept override { return text.c_str(); }
  explicit operator bool() const noexcept { return code != errc::none; }

  errc code = errc::none;
  std::uint64_t line = 0;    // counted from 1; 0: none in particular
  std::uint64_t offset = 0;  // of the byte in the file
  std::string tensor;        // its name; empty: none in particular
  std::string text;          // the whole message, the file's name and the place included
};

// ---------------------------------------------------------------------------------------------------------------------
// Spans, tensors, kernels
// ---------------------------------------------------------------------------------------------------------------------

// A view of values that something else owns, as std::span has it since C++20.
template <class T>
class span {
 public:
  constexpr span() noexcept = default;
  constexpr span(T* data, std::size_t size) noexcept : data_(data), size_(size) {}
  constexpr T* data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr T* begin() const noexcept { return data_; }
  constexpr T* end() const noexcept { return data_ + size_; }
  constexpr T& operator[](std::size_t i) const noexcept { return data_[i]; }
  constexpr T& front() const noexcept { return data_[0]; }
  constexpr T& back() const noexcept { return data_[size_ - 1]; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

// How a line writes its values. All but the first two are found by scanning the line; the first two by arithmetic.
enum class dialect : std::uint8_t {
  two_spaces,  // "name 2  3f800000 40000000": what most scripts write
  one_space,   // "name 2 3f800000 40000000"
  spaced,      // the same with more spaces somewhere
  prefixed,    // "name 2 0x3f800000 0x0": not padded
  typed,       // "name 0 2 3f800000 0": the type 0 before the number, not padded
  typed_half,  // "name 1 2 3c00 0": the type 1, float16
};

// One line of the file. The name lives as long as the weights do.
struct tensor {
  std::string_view name;
  std::uint64_t count = 0;   // of values
  std::uint64_t offset = 0;  // of the first value's first byte in the file
  std::uint64_t line = 0;    // counted from 1
  wts::dialect dialect = wts::dialect::two_spaces;
};

// One way to decode, for one instruction set.
struct kernel {
  const char* name;
  // Whether this processor (and this operating system) can run it.
  bool (*supported)() noexcept;
  // Decodes `count` values from exactly 9 * count bytes: for each a space and 8 hex digits, of either case. False if
  // any byte is another; `values` then holds anything. Bits are kept as they are, those of every NaN included.
  bool (*decode)(const char* text, std::size_t count, float* values) noexcept;
};

// All kernels of this build, best first. The last is scalar, which every processor runs.
span<const kernel> kernels() noexcept;

// The kernel of this name; without one, that which WTS_KERNEL or PYWTS_KERNEL names, else the best. Null: not to be
// had.
const kernel* choose_kernel(const char* name = nullptr) noexcept;

// Where a kernel stumbled: the first byte that does not belong in a text of values, or its size if all do.
std::size_t first_wrong(std::string_view text) noexcept;

struct options {
  const char* kernel = nullptr;  // its name; null: what WTS_KERNEL or PYWTS_KERNEL says, else the best
  unsigned threads = 0;          // at most; 0: as many as pay
};

// ---------------------------------------------------------------------------------------------------------------------
// Weights
// ---------------------------------------------------------------------------------------------------------------------

namespace detail {
struct book;
}

// An open .wts. Moving keeps every span, name and tensor valid; they end with the weights. What was moved from can be
// assigned to or destroyed, and nothing else.
class weights {
 public:
  explicit weights(std::unique_ptr<detail::book> book) noexcept;
  weights(weights&&) noexcept;
  weights& operator=(weights&&) noexcept;
  ~weights();

  // --- The index: the tensors in the order of the file.
  std::size_t size() const noexcept;
  const tensor* begin() const noexcept;
  const tensor* end() const noexcept;
  const tensor& operator[](std::size_t i) const noexcept { return begin()[i]; }
  std::vector<std::string_view> names() const;
  const tensor* describe(std::string_view name) const noexcept;  // null: no such name
  bool contains(std::string_view name) const noexcept { return describe(name) != nullptr; }
  std::vector<std::string_view> nearest(std::string_view name, std::size_t most = 3) const;  // names much like this one

  // --- Values that the weights own: decoded at the first call, the same memory at every later one.
  // Throws error: missing (with the nearest names), count, or what is wrong with the line.
  span<const float> at(std::string_view name) const;
  span<const float> at(std::string_view name, std::uint64_t count) const;
  // The same without exceptions: nothing if the name is missing or the line is damaged; `why` is told which.
  std::optional<span<const float>> find(std::string_view name, error* why = nullptr) const noexcept;
  std::optional<span<const float>> find(std::string_view name, std::uint64_t count,
                                        error* why = nullptr) const noexcept;
  // Counts of any type, since a literal 0 is a null `why` as well as a count.
  template <class Count, std::enable_if_t<std::is_integral_v<Count>, int> = 0>
  std::optional<span<const float>> find(std::string_view name, Count count, error* why = nullptr) const noexcept {
    return find(name, static_cast<std::uint64_t>(count), why);
  }
  // Decodes everything that is not yet decoded.
  void load_all() const;
  bool try_load_all(error* why = nullptr) const noexcept;

  // --- Values into the caller's memory. If a call fails, what that memory holds is unspecified.
  // All of one tensor, which holds `count` values, or it throws error count.
  void read(std::string_view name, float* values, std::uint64_t count) const;
  // The values [begin, end) of a tensor of these weights. In a dialect found by scanning, all before them are read too.
  bool try_read(const tensor& tensor, std::uint64_t begin, std::uint64_t end, float* values,
                error* why = nullptr) const noexcept;
  // Every tensor: a pointer for each, in the order of the file; null passes one over.
  void read_all(float* const* values) const;
  bool try_read_all(float* const* values, error* why = nullptr) const noexcept;

  const wts::kernel& kernel() const noexcept;  // the one in use

 private:
  std::unique_ptr<detail::book> book_;
};

// Opens a file, or reads a pipe to its end. On Windows the path is UTF-8 (or else in the system's code page).
weights open(const std::string& path, const options& options = {});
std::optional<weights> try_open(const std::string& path, error* why = nullptr, const options& options = {}) noexcept;

// The same for a text in memory, which the caller keeps alive; `name` is what errors call it.
weights parse(std::string_view text, const std::string& name = "text", const options& options = {});
std::optional<weights> try_parse(std::string_view text, error* why = nullptr, const std::string& name = "text",
                                 const options& options = {}) noexcept;

// Where NvInfer.h was included before (see the end of this file):
//   std::map<std::string, nvinfer1::Weights> loadWeights(const std::string& path);

// =====================================================================================================================
// All below is how it is done.
// =====================================================================================================================

namespace detail {

inline constexpr std::size_t text_per_value = 9;              // a space and eight digits
inline constexpr std::size_t chunk = std::size_t{128} << 10;  // values decoded at a time: 1.1 MiB of text, as L2
inline constexpr std::uint64_t text_per_thread = 8u << 20;    // bytes of text that make another thread pay
inline constexpr unsigned most_threads = 8;                   // more than memory can feed
inline constexpr std::size_t page = 4096, huge_page = std::size_t{2} << 20;
inline constexpr std::size_t longest_name = std::size_t{64} << 10;  // bytes

// ---------------------------------------------------------------------------------------------------------------------
// Kernels
// ---------------------------------------------------------------------------------------------------------------------

constexpr int digit(int c) noexcept {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

// For each of four places and each character what the digit is worth there, or a bit that no sum of digits reaches.
struct digit_table {
  std::uint32_t worth[4][256];
};

constexpr digit_table make_digits() noexcept {
  digit_table table{};
  for (int place = 0; place < 4; ++place) {
    for (int c = 0; c < 256; ++c) {
      const int d = digit(c);
      table.worth[place][c] = d < 0 ? 1u << 16 : static_cast<std::uint32_t>(d) << (12 - 4 * place);
    }
  }
  return table;
}

inline constexpr digit_table digits = make_digits();

inline bool decode_scalar(const char* text, std::size_t count, float* values) noexcept {
  const auto& worth = digits.worth;
  std::uint32_t wrong = 0, no_space = 0;
  for (; count != 0; --count, text += text_per_value, ++values) {
    unsigned char c[text_per_value];
    std::memcpy(c, text, sizeof c);
    const std::uint32_t high = worth[0][c[1]] | worth[1][c[2]] | worth[2][c[3]] | worth[3][c[4]];
    const std::uint32_t low = worth[0][c[5]] | worth[1][c[6]] | worth[2][c[7]] | worth[3][c[8]];
    wrong |= high | low;
    no_space |= static_cast<std::uint32_t>(c[0] ^ ' ');
    const std::uint32_t bits = high << 16 | low;
    std::memcpy(values, &bits, sizeof bits);
  }
  return wrong >> 16 == 0 && no_space == 0;
}

inline bool always() noexcept { return true; }

// A kernel from one that decodes whole blocks of `block` values: the rest is padded to a block.
template <std::size_t block, bool (*run)(const char*, std::size_t, float*)>
inline bool decode_in_blocks(const char* text, std::size_t count, float* values) noexcept {
  const std::size_t rest = count % block, whole = count - rest;
  const bool good = run(text, whole / block, values);
  if (rest == 0) return good;
  char padded[block * text_per_value];
  float decoded[block];
  std::memset(padded, '0', sizeof padded);
  for (std::size_t i = 0; i < block; ++i) padded[i * text_per_value] = ' ';
  std::memcpy(padded, text + whole * text_per_value, rest * text_per_value);
  const bool rest_good = run(padded, 1, decoded);
  std::memcpy(values + whole, decoded, rest * sizeof(float));
  return good && rest_good;
}

// A character is a digit if the classes of its two halves meet: 6 for the decimal ones, 9 for the letters. The class's
// bits that 9 has are then what a letter's low half lacks to its value.
struct digit_classes {
  std::uint8_t low[16], high[16];
};

inline constexpr digit_classes classes = {{6, 15, 15, 15, 15, 15, 15, 6, 6, 6, 0, 0, 0, 0, 0, 0},
                                          {0, 0, 0, 6, 9, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0}};

#if defined(WTS_X86)

#define WTS_AVX512 "avx512f,avx512bw,avx512vbmi"

// AVX-512 with VBMI: 16 values are 144 bytes. Two permutations bring the digits of 8 values each into the order in
// which multiply-add and pack leave the bytes as the machine wants them; two more look the digits up.
struct avx512_tables {
  alignas(64) std::uint8_t first[64];   // values 0, 1, 4, 5, 8, 9, 12, 13, from bytes 0 to 127
  alignas(64) std::uint8_t second[64];  // values 2, 3, 6, 7, 10, 11, 14, 15, from bytes 16 to 143
  alignas(64) std::uint8_t low[64];     // digits of the characters 0 to 63; 0x80: none
  alignas(64) std::uint8_t high[64];    // digits of the characters 64 to 127
};

constexpr avx512_tables make_avx512_tables() noexcept {
  avx512_tables tables{};
  for (std::size_t i = 0; i < 64; ++i) {
    const std::size_t value = i / 16 * 4 + i % 16 / 8;
    const std::size_t place = (3 - i % 8 / 2) * 2 + i % 2;  // the last byte first, in each the high digit first
    tables.first[i] = static_cast<std::uint8_t>(value * text_per_value + 1 + place);
    tables.second[i] = static_cast<std::uint8_t>((value + 2) * text_per_value + 1 + place - 16);
    const int low = digit(static_cast<int>(i)), high = digit(static_cast<int>(i + 64));
    tables.low[i] = static_cast<std::uint8_t>(low < 0 ? 0x80 : low);
    tables.high[i] = static_cast<std::uint8_t>(high < 0 ? 0x80 : high);
  }
  return tables;
}

inline constexpr avx512_tables tables512 = make_avx512_tables();

// The places of the spaces among bytes from, ..., from + 63 of a block.
constexpr std::uint64_t spaces(std::size_t from, std::size_t to) noexcept {
  std::uint64_t mask = 0;
  for (std::size_t i = from; i < to; ++i) mask |= std::uint64_t{i % text_per_value == 0} << (i - from);
  return mask;
}

WTS_TARGET(WTS_AVX512)
inline bool run_avx512(const char* text, std::size_t blocks, float* values) {
  const __m512i first = _mm512_load_si512(tables512.first), second = _mm512_load_si512(tables512.second);
  const __m512i low = _mm512_load_si512(tables512.low), high = _mm512_load_si512(tables512.high);
  const __m512i space = _mm512_set1_epi8(' '), weight = _mm512_set1_epi16(0x0110);
  // The spaces of a block lie at different places of three loads: of a, of b, and (one) of d.
  constexpr std::uint64_t in_a = spaces(0, 64), in_b = spaces(64, 128), in_d = spaces(80, 144) & ~(in_a | in_b);
  __m512i no_space = _mm512_setzero_si512(), wrong = _mm512_setzero_si512();
  for (; blocks != 0; --blocks, text += 16 * text_per_value, values += 16) {
    const __m512i a = _mm512_loadu_si512(text), b = _mm512_loadu_si512(text + 64);
    const __m512i c = _mm512_loadu_si512(text + 16), d = _mm512_loadu_si512(text + 80);
    const __m512i between = _mm512_mask_mov_epi8(_mm512_mask_mov_epi8(a, in_b, b), in_d, d);
    no_space = _mm512_ternarylogic_epi64(no_space, between, space, 0xf6);  // x | (y ^ z)
    const __m512i left = _mm512_permutex2var_epi8(a, first, b), right = _mm512_permutex2var_epi8(c, second, d);
    const __m512i left_digits = _mm512_permutex2var_epi8(low, left, high);
    const __m512i right_digits = _mm512_permutex2var_epi8(low, right, high);
    // The look-up disregards a character's highest bit: it counts as wrong too.
    wrong = _mm512_ternarylogic_epi64(wrong, left, left_digits, 0xfe);  // x | y | z
    wrong = _mm512_ternarylogic_epi64(wrong, right, right_digits, 0xfe);
    const __m512i bytes =
        _mm512_packus_epi16(_mm512_maddubs_epi16(left_digits, weight), _mm512_maddubs_epi16(right_digits, weight));
    _mm512_storeu_si512(values, bytes);
  }
  return (_mm512_test_epi8_mask(no_space, no_space) & (in_a | in_b | in_d)) == 0 && _mm512_movepi8_mask(wrong) == 0;
}

#define WTS_AVX2 "avx2"

// AVX2: 8 values are 72 bytes.
WTS_TARGET_INLINE(WTS_AVX2) __m256i two_of_16(const char* first, const char* second) noexcept {
  const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(first));
  const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(second));
  return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

WTS_TARGET_INLINE(WTS_AVX2) __m256i twice(const std::uint8_t* table) noexcept {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
}

WTS_TARGET_INLINE(WTS_AVX2) __m256i load256(const char* text) noexcept {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text));
}

// Values 0, 1, 4 and 5 of those at `text`, a byte for each two digits, in the low halves of the words.
WTS_TARGET_INLINE(WTS_AVX2) __m256i four_values(const char* text, __m256i low, __m256i high, __m256i& wrong) noexcept {
  // A value and what follows it, what precedes the next value and that value: half of either.
  const __m256i left = two_of_16(text + 1, text + 1 + 4 * text_per_value);
  const __m256i right = two_of_16(text + 2, text + 2 + 4 * text_per_value);
  const __m256i c = _mm256_blend_epi32(left, right, 0xcc);
  const __m256i half = _mm256_set1_epi8(15);
  const __m256i upper = _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16(c, 4), half));
  const __m256i met = _mm256_and_si256(_mm256_shuffle_epi8(low, c), upper);
  wrong = _mm256_or_si256(wrong, _mm256_cmpeq_epi8(met, _mm256_setzero_si256()));
  const __m256i value = _mm256_add_epi8(_mm256_and_si256(c, half), _mm256_and_si256(met, _mm256_set1_epi8(9)));
  return _mm256_maddubs_epi16(value, _mm256_set1_epi16(0x0110));
}

WTS_TARGET(WTS_AVX2)
inline bool run_avx2(const char* text, std::size_t blocks, float* values) {
  const __m256i low = twice(classes.low), high = twice(classes.high), space = _mm256_set1_epi8(' ');
  const __m256i swap = _mm256_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 3, 2, 1, 0, 7, 6, 5, 4,
                                        11, 10, 9, 8, 15, 14, 13, 12);
  __m256i wrong = _mm256_setzero_si256(), first = _mm256_setzero_si256(), second = _mm256_setzero_si256();
  for (; blocks != 0; --blocks, text += 8 * text_per_value, values += 8) {
    const __m256i bytes = _mm256_packus_epi16(four_values(text, low, high, wrong),
                                              four_values(text + 2 * text_per_value, low, high, wrong));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(values), _mm256_shuffle_epi8(bytes, swap));
    // All eight spaces lie in the first 64 bytes. Loaded last: clang would cut the loads above out of these.
    first = _mm256_or_si256(first, _mm256_xor_si256(load256(text), space));
    second = _mm256_or_si256(second, _mm256_xor_si256(load256(text + 32), space));
  }
  const __m256i none = _mm256_setzero_si256();
  const auto good = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(first, none)));
  const auto also = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(second, none)));
  constexpr auto wanted = static_cast<std::uint32_t>(spaces(0, 32)), rest = static_cast<std::uint32_t>(spaces(32, 64));
  return (good & wanted) == wanted && (also & rest) == rest && _mm256_testz_si256(wrong, wrong) != 0;
}

struct processor {
  bool avx2 = false, avx512 = false;
};

inline processor ask_processor() noexcept {
  unsigned base[4] = {}, first[4] = {}, seventh[4] = {};
#if defined(_MSC_VER) && !defined(__clang__)
  const auto ask = [](unsigned leaf, unsigned(&out)[4]) {
    int registers[4];
    __cpuidex(registers, static_cast<int>(leaf), 0);
    for (int i = 0; i < 4; ++i) out[i] = static_cast<unsigned>(registers[i]);
  };
  const auto state = [] { return static_cast<unsigned>(_xgetbv(0)); };
#else
  const auto ask = [](unsigned leaf, unsigned(&out)[4]) { __cpuid_count(leaf, 0, out[0], out[1], out[2], out[3]); };
  const auto state = [] {
    unsigned low = 0, high = 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
  };
#endif
  processor has;
  ask(0, base);
  if (base[0] < 7) return has;
  ask(1, first);
  ask(7, seventh);
  constexpr unsigned saves = 1u << 27 | 1u << 28;  // OSXSAVE and AVX
  if ((first[2] & saves) != saves) return has;
  const unsigned saved = state();
  has.avx2 = (saved & 0x06) == 0x06 && (seventh[1] >> 5 & 1) != 0;
  constexpr unsigned f_and_bw = 1u << 16 | 1u << 30;
  has.avx512 = (saved & 0xe6) == 0xe6 && (seventh[1] & f_and_bw) == f_and_bw && (seventh[2] >> 1 & 1) != 0;
  return has;
}

inline const processor& this_processor() noexcept {
  static const processor has = ask_processor();
  return has;
}

inline bool has_avx512() noexcept { return this_processor().avx512; }
inline bool has_avx2() noexcept { return this_processor().avx2; }

#elif defined(WTS_NEON)

// NEON: 8 values are 72 bytes; the digits of 4 values are looked up in 48 bytes at a time.
struct neon_tables {
  std::uint8_t high[2][16], low[2][16];  // the digits' places, for values 0 to 3 from byte 0 and 4 to 7 from byte 24
};

constexpr neon_tables make_neon_tables() noexcept {
  neon_tables tables{};
  for (std::size_t i = 0; i < 16; ++i) {
    const std::size_t place = i / 4 * text_per_value + 1 + (3 - i % 4) * 2;
    tables.high[0][i] = static_cast<std::uint8_t>(place);
    tables.low[0][i] = static_cast<std::uint8_t>(place + 1);
    tables.high[1][i] = static_cast<std::uint8_t>(place + 12);
    tables.low[1][i] = static_cast<std::uint8_t>(place + 13);
  }
  return tables;
}

inline constexpr neon_tables tables_neon = make_neon_tables();

inline uint8x16_t load_neon(const char* text) noexcept { return vld1q_u8(reinterpret_cast<const std::uint8_t*>(text)); }

inline uint8x16_t digits_neon(uint8x16_t c, uint8x16_t low, uint8x16_t high, uint8x16_t& least) noexcept {
  const uint8x16_t half = vandq_u8(c, vdupq_n_u8(15));
  const uint8x16_t met = vandq_u8(vqtbl1q_u8(low, half), vqtbl1q_u8(high, vshrq_n_u8(c, 4)));
  least = vminq_u8(least, met);
  return vaddq_u8(half, vandq_u8(met, vdupq_n_u8(9)));
}

inline bool run_neon(const char* text, std::size_t blocks, float* values) {
  const uint8x16_t low = vld1q_u8(classes.low), high = vld1q_u8(classes.high), space = vdupq_n_u8(' ');
  uint8x16_t least = vdupq_n_u8(255);
  uint8x16_t between[4] = {vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0),
                           vdupq_n_u8(0)};  // all lie in the first 64 bytes
  for (; blocks != 0; --blocks, text += 8 * text_per_value) {
    for (std::size_t i = 0; i < 4; ++i) {
      between[i] = vorrq_u8(between[i], veorq_u8(load_neon(text + 16 * i), space));
    }
    for (std::size_t i = 0; i < 2; ++i, values += 4) {
      uint8x16x3_t window;
      for (std::size_t j = 0; j < 3; ++j) window.val[j] = load_neon(text + 24 * i + 16 * j);
      const uint8x16_t upper = digits_neon(vqtbl3q_u8(window, vld1q_u8(tables_neon.high[i])), low, high, least);
      const uint8x16_t lower = digits_neon(vqtbl3q_u8(window, vld1q_u8(tables_neon.low[i])), low, high, least);
      vst1q_u8(reinterpret_cast<std::uint8_t*>(values), vsliq_n_u8(lower, upper, 4));
    }
  }
  std::uint8_t seen[64];
  for (std::size_t i = 0; i < 4; ++i) vst1q_u8(seen + 16 * i, between[i]);
  for (std::size_t i = 0; i < 64; i += text_per_value) {
    if (seen[i] != 0) return false;
  }
  return vminvq_u8(least) != 0;
}

#endif

inline constexpr kernel all_kernels[] = {
#if defined(WTS_X86)
    {"avx512", has_avx512, decode_in_blocks<16, run_avx512>},
    {"avx2", has_avx2, decode_in_blocks<8, run_avx2>},
#elif defined(WTS_NEON)
    {"neon", always, decode_in_blocks<8, run_neon>},
#endif
    {"scalar", always, decode_scalar},
};

// The name that is asked for; empty: none.
inline const char* wanted_kernel(const char* name) noexcept {
  for (const char* variable : {"WTS_KERNEL", "PYWTS_KERNEL"}) {
#if defined(_MSC_VER)
#pragma warning(suppress : 4996)  // getenv
#endif
    if (name == nullptr || *name == '\0') name = std::getenv(variable);
  }
  return name == nullptr ? "" : name;
}

// ---------------------------------------------------------------------------------------------------------------------
// Errors, memory
// ---------------------------------------------------------------------------------------------------------------------

[[noreturn]] inline void raise(error&& why) {
#if WTS_EXCEPTIONS
  throw std::move(why);
#else
  std::fprintf(stderr, "%s\n", why.what());
  std::abort();
#endif
}

// Runs work that tells whether it went well: for the functions that throw.
template <class Work>
void must(const Work& work) {
  error why;
  if (!work(why)) raise(std::move(why));
}

// The same for the functions that do not throw, and may yet run out of memory.
template <class Work>
bool may(error* why, const Work& work) noexcept {
  error problem;
#if WTS_EXCEPTIONS
  try {
    if (work(problem)) return true;
  } catch (...) {
    problem = error();
    problem.code = errc::memory;
    problem.text.assign("out of memory");  // short enough to need none
  }
#else
  if (work(problem)) return true;
#endif
  if (why != nullptr) *why = std::move(problem);
  return false;
}

inline std::string shown(int c) {
  if (c > 0x20 && c < 0x7f) return {'\'', static_cast<char>(c), '\''};
  char text[16];
  std::snprintf(text, sizeof text, "byte 0x%02x", static_cast<unsigned>(c));
  return text;
}

inline std::string in_quotes(std::string_view text) {
  static const char hex[] = "0123456789abcdef";
  std::string result = "\"";
  for (const char c : text.substr(0, 80)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      (result += "\\x") += {hex[byte >> 4], hex[byte & 15]};
    } else {
      result += c;
    }
  }
  return result += text.size() > 80 ? "...\"" : "\"";
}

// "1 value", "2 values"
inline std::string counted(std::uint64_t count, const char* what) {
  return std::to_string(count) + ' ' + what + (count == 1 ? "" : "s");
}

// Asks for huge pages for fresh memory: each page fault then brings 2 MiB, not 4 KiB.
inline void prepare_fresh([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t size) noexcept {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  const auto start = (reinterpret_cast<std::uintptr_t>(memory) + huge_page - 1) & ~(huge_page - 1);
  const auto stop = (reinterpret_cast<std::uintptr_t>(memory) + size) & ~(huge_page - 1);
  if (stop > start) madvise(reinterpret_cast<void*>(start), stop - start, MADV_HUGEPAGE);
#endif
}

// Memory that begins with a cache line, a page, or a huge page, as its size deserves.
class block {
 public:
  explicit block(std::size_t size) noexcept
      : align_(std::align_val_t{size >= 2 * huge_page ? huge_page
                                : size >= 16 * page   ? page
                                                      : 64}),
        memory_(::operator new(size, align_, std::nothrow)) {
    if (memory_ != nullptr && size >= 2 * huge_page) prepare_fresh(memory_, size);
  }
  block(block&& other) noexcept : align_(other.align_), memory_(std::exchange(other.memory_, nullptr)) {}
  block& operator=(block&&) = delete;
  ~block() { ::operator delete(memory_, align_); }
  void* get() const noexcept { return memory_; }

 private:
  std::align_val_t align_;
  void* memory_;
};

struct place {
  std::uint64_t line = 0;
  std::uint64_t offset = 0;
  std::string_view tensor = {};
};

// Fills in the error; false, so that a caller can return it.
inline bool fail(error& why, errc code, const std::string& file, const place& where, const std::string& message) {
  why.code = code;
  why.line = where.line;
  why.offset = where.offset;
  why.tensor = std::string(where.tensor);
  why.text = file + ": ";
  if (where.line != 0) why.text += "line " + std::to_string(where.line) + ", ";
  if (!where.tensor.empty()) why.text += "tensor " + in_quotes(where.tensor) + ", ";
  if (where.line != 0) why.text += "byte " + std::to_string(where.offset) + ": ";
  why.text += message;
  return false;
}

// ---------------------------------------------------------------------------------------------------------------------
// The bytes: a file that is read at any offset, or memory
// ---------------------------------------------------------------------------------------------------------------------

#if defined(_WIN32)
using system_code = unsigned long;
#else
using system_code = int;
#endif

inline std::string system_text(system_code code) { return std::system_category().message(static_cast<int>(code)); }

class source {
 public:
  source() noexcept = default;
  source(const source&) = delete;
  source& operator=(const source&) = delete;
#if defined(_WIN32)
  ~source() {
    if (file_ != INVALID_HANDLE_VALUE) CloseHandle(file_);
  }
#else
  ~source() {
    if (file_ >= 0) ::close(file_);
  }
#endif

  void hold(std::string_view text) noexcept {
    memory_ = text.empty() ? "" : text.data();
    size_ = text.size();
  }

  const char* memory() const noexcept { return memory_; }  // null: a file
  std::uint64_t size() const noexcept { return size_; }    // when it was opened

  bool open(const std::string& path, error& why) {
    if (path.find('\0') != std::string::npos) return fail(why, errc::file, in_quotes(path), {}, "no name of a file");
#if defined(_WIN32)
    file_ = CreateFileW(wide(path).c_str(), GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                        nullptr, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr);
    LARGE_INTEGER size{};
    const bool opened = file_ != INVALID_HANDLE_VALUE;
    const bool regular = opened && GetFileType(file_) == FILE_TYPE_DISK;
    if (!opened || (regular && !GetFileSizeEx(file_, &size))) {
      return fail(why, errc::file, path, {}, system_text(GetLastError()));
    }
    size_ = static_cast<std::uint64_t>(size.QuadPart);
#else
    file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status {};
    if (file_ < 0 || ::fstat(file_, &status) != 0) return fail(why, errc::file, path, {}, system_text(errno));
    if (S_ISDIR(status.st_mode)) return fail(why, errc::file, path, {}, "is a folder");
    const bool regular = S_ISREG(status.st_mode);
    size_ = static_cast<std::uint64_t>(status.st_size);
#endif
    return regular || read_to_end(path, why);
  }

  // Reads up to `size` bytes at `offset`; fewer only at the end of the file, or if the system refuses (`failed` is then
  // not 0).
  std::size_t read(std::uint64_t offset, char* out, std::size_t size, system_code& failed) const noexcept {
    failed = 0;
    std::size_t done = 0;
    while (done < size) {
      const std::size_t part = (std::min)(size - done, std::size_t{1} << 30);
#if defined(_WIN32)
      OVERLAPPED at{};
      at.Offset = static_cast<DWORD>((offset + done) & 0xffffffff);
      at.OffsetHigh = static_cast<DWORD>((offset + done) >> 32);
      DWORD got = 0;
      if (!ReadFile(file_, out + done, static_cast<DWORD>(part), &got, &at)) {
        if (GetLastError() != ERROR_HANDLE_EOF) failed = GetLastError();
        break;
      }
#else
      const ssize_t got = ::pread(file_, out + done, part, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {
        failed = errno;
        break;
      }
#endif
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

 private:
#if defined(_WIN32)
  static std::wstring wide(const std::string& path) {
    for (const UINT code_page : {UINT{CP_UTF8}, UINT{CP_ACP}}) {
      const DWORD flags = code_page == CP_UTF8 ? MB_ERR_INVALID_CHARS : 0;
      const int size = MultiByteToWideChar(code_page, flags, path.c_str(), -1, nullptr, 0);
      if (size <= 0) continue;
      std::wstring result(static_cast<std::size_t>(size), L'\0');
      MultiByteToWideChar(code_page, flags, path.c_str(), -1, result.data(), size);
      return result;
    }
    return {};
  }
#endif

  // A pipe, or another thing without offsets.
  bool read_to_end(const std::string& path, error& why) {
    std::size_t used = 0;
    for (;;) {
      if (held_.size() - used < 65536) held_.resize((std::max)(std::size_t{1} << 20, 2 * held_.size()));
      const std::size_t room = (std::min)(held_.size() - used, std::size_t{1} << 30);
#if defined(_WIN32)
      DWORD got = 0;
      if (!ReadFile(file_, &held_[used], static_cast<DWORD>(room), &got, nullptr)) {
        if (GetLastError() != ERROR_BROKEN_PIPE) return fail(why, errc::file, path, {}, system_text(GetLastError()));
      }
#else
      const ssize_t got = ::read(file_, &held_[used], room);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail(why, errc::file, path, {}, system_text(errno));
#endif
      if (got == 0) break;
      used += static_cast<std::size_t>(got);
    }
    hold({held_.data(), used});
    return true;
  }

#if defined(_WIN32)
  HANDLE file_ = INVALID_HANDLE_VALUE;
#else
  int file_ = -1;
#endif
  std::uint64_t size_ = 0;
  const char* memory_ = nullptr;
  std::string held_;
};

// Walks over the bytes one by one, and leaps.
class cursor {
 public:
  explicit cursor(const source& source, std::uint64_t offset = 0) noexcept : source_(source), base_(offset) {}

  static constexpr int end = -1;  // no byte: the end of the file, or the system refused

  int peek() { return at_ < used_ ? static_cast<unsigned char>(window_[at_]) : refill(); }
  void skip() noexcept { ++at_; }
  std::uint64_t offset() const noexcept { return base_ + at_; }
  system_code refused() const noexcept { return refused_; }

  void leap(std::uint64_t offset) noexcept {
    if (offset >= base_ && offset - base_ <= used_) {
      at_ = static_cast<std::size_t>(offset - base_);
    } else {
      base_ = offset;
      at_ = used_ = 0;
      room_ = after_leap;
    }
  }

  std::uint64_t skip_spaces() {
    const std::uint64_t start = offset();
    while (peek() == ' ') skip();
    return offset() - start;
  }

  // Whether the line ends here, or behind a carriage return.
  bool ends_line() {
    if (peek() != '\r') return peek() == '\n' || peek() == end;
    const std::uint64_t start = offset();
    skip();
    const bool ends = peek() == '\n' || peek() == end;
    leap(start);
    return ends;
  }

  // A decimal number, with nothing but a space or the line's end behind it.
  bool read_number(std::uint64_t most, std::uint64_t& number) {
    number = 0;
    const std::uint64_t start = offset();
    for (; peek() >= '0' && peek() <= '9'; skip()) {
      number = number * 10 + static_cast<std::uint64_t>(peek() - '0');
      if (number > most) return false;
    }
    return offset() != start && (peek() == ' ' || ends_line());
  }

  // The next value of a line that is scanned: its bits, or that the line ends, or that it is not as the dialect
  // demands.
  enum class value : std::uint8_t { read, none, wrong };

  value read_value(dialect form, std::uint32_t& bits) {
    skip_spaces();
    if (ends_line()) return value::none;
    if (form == dialect::prefixed) {
      if (peek() != '0') return value::wrong;
      skip();
      if (peek() != 'x' && peek() != 'X') return value::wrong;
      skip();
    }
    const int most = form == dialect::typed_half ? 4 : 8;
    int count = 0;
    bits = 0;
    for (int d = 0; count < most && (d = digit(peek())) >= 0; ++count, skip()) {
      bits = bits << 4 | static_cast<std::uint32_t>(d);
    }
    const bool enough = form == dialect::spaced ? count == most : count > 0;
    return enough && (peek() == ' ' || ends_line()) ? value::read : value::wrong;
  }

 private:
  static constexpr std::size_t after_leap = 4096, in_a_row = 65536;

  int refill() {
    base_ += at_;
    at_ = used_ = 0;
    if (source_.memory() != nullptr) {
      if (base_ >= source_.size()) return end;
      window_ = source_.memory() + base_;
      used_ = static_cast<std::size_t>((std::min)(source_.size() - base_, std::uint64_t{1} << 30));
    } else {
      if (buffer_ == nullptr) buffer_.reset(new char[in_a_row]);
      window_ = buffer_.get();
      system_code refused = 0;
      used_ = source_.read(base_, buffer_.get(), room_, refused);
      if (refused != 0) refused_ = refused;
      room_ = in_a_row;
      if (used_ == 0) return end;
    }
    return static_cast<unsigned char>(*window_);
  }

  const source& source_;
  std::uint64_t base_;  // the window's offset
  std::size_t at_ = 0, used_ = 0, room_ = in_a_row;
  const char* window_ = nullptr;
  std::unique_ptr<char[]> buffer_;
  system_code refused_ = 0;
};

// ---------------------------------------------------------------------------------------------------------------------
// The index
// ---------------------------------------------------------------------------------------------------------------------

// All that weights hold.
struct book {
  std::string path;
  detail::source source;
  const wts::kernel* kernel = nullptr;
  unsigned threads = 0;
  std::vector<tensor> tensors;
  std::deque<std::string> names;       // what the tensors' names point to
  std::vector<std::uint32_t> by_name;  // indices of the tensors, sorted by name

  std::mutex loading;                                   // held while values that the weights own are decoded
  std::vector<block> blocks;                            // their memory
  std::unique_ptr<std::atomic<const float*>[]> loaded;  // each tensor's values, once they are decoded

  bool fail(error& why, errc code, const place& where, const std::string& message) const {
    return detail::fail(why, code, path, where, message);
  }
};

// What a file is that is no .wts, by its first bytes; null if they tell nothing.
inline const char* other_kind(std::string_view head) {
  using namespace std::string_view_literals;
  const auto begins = [&](std::string_view with) { return head.substr(0, with.size()) == with; };
  std::string lower(head.substr(0, head.find('\0')));
  lower.erase(0, lower.find_first_not_of(" \t\r\n"));
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  for (const std::string_view tag : {"<!doctype"sv, "<html"sv, "<head"sv, "<?xml"sv}) {
    if (lower.compare(0, tag.size(), tag) == 0) return "a web page: the download went wrong";
  }
  if (head.size() > 8 && head[8] == '{' && head.substr(5, 3) == "\0\0\0"sv) return "a .safetensors file";
  if (head.size() > 2 && head[0] == 8 && head[1] > 0 && head[1] < 16 && head[2] == 0x12) return "an ONNX model";
  if (head.find_first_not_of('\0') == head.npos) return "zeros: never written, or lost";
  struct known {
    std::string_view begin;
    const char* what;
  };
  static constexpr known kinds[] = {
      {"PK\3\4"sv, "a zip archive, as PyTorch checkpoints are: convert it (pywts export) instead of renaming it"},
      {"\x80\2"sv, "a pickle, as old PyTorch checkpoints are: convert it (pywts export) instead of renaming it"},
      {"\x80\4"sv, "a pickle"},
      {"version https://git-lfs"sv, "a git-lfs pointer, not the file itself: run git lfs pull"},
      {"\0\0\0\0\1\0\0\0"sv, "darknet's binary .weights"},
      {"\0\0\0\0\2\0\0\0"sv, "darknet's binary .weights"},
      {"\x89HDF"sv, "an HDF5 file, as Keras writes it"},
      {"\x93NUMPY"sv, "a NumPy array"},
      {"GGUF"sv, "a GGUF file"},
      {"ftrt"sv, "a TensorRT engine"},
      {"ptrt"sv, "a TensorRT engine"},
      {"\x1f\x8b"sv, "compressed with gzip"},
      {"\xef\xbb\xbf"sv, "a text that begins with a byte order mark, which no reader of .wts knows"},
      {"\xff\xfe"sv, "a text in UTF-16, which no reader of .wts knows"},
      {"\xfe\xff"sv, "a text in UTF-16, which no reader of .wts knows"},
  };
  for (const known& kind : kinds) {
    if (begins(kind.begin)) return kind.what;
  }
  return nullptr;
}

// Fills in the book's tensors; every function is false once `why` is filled in.
class indexer {
 public:
  indexer(book& book, error& why) : book_(book), in_(book.source), why_(why) {}

  bool run() {
    if (!read_count()) return false;
    for (std::uint64_t i = 0; i < count_; ++i) {
      tensor_ = {};
      skip_blank_lines();
      if (in_.peek() == cursor::end) {
        return fail(errc::cut, "the file announces " + counted(count_, "tensor") + " and holds " + std::to_string(i));
      }
      if (!read_line()) return false;
      book_.tensors.push_back(tensor_);
    }
    tensor_ = {};
    skip_blank_lines();
    if (in_.peek() != cursor::end || in_.refused() != 0) {
      return fail(errc::trailing, "text after the last of " + counted(count_, "tensor") + ": " + shown(in_.peek()));
    }
    return sort_names();
  }

 private:
  // The first line that is not blank.
  bool read_count() {
    skip_blank_lines();
    in_.skip_spaces();
    const std::uint64_t start = in_.offset();
    if (in_.peek() == cursor::end) return fail(errc::not_wts, start == 0 ? "the file is empty" : "the file is blank");
    const bool number = in_.read_number(0x7fffffff, count_);
    in_.skip_spaces();
    if (number && count_ > 0 && in_.ends_line()) return true;
    if (number && in_.ends_line()) return fail(errc::head, "the file announces no tensor at all", start);
    std::string head, line;
    for (in_.leap(0); head.size() < 64 && in_.peek() != cursor::end; in_.skip()) {
      head += static_cast<char>(in_.peek());
    }
    if (const char* other = other_kind(head)) return fail(errc::not_wts, std::string("this is no .wts but ") + other);
    for (in_.leap(start); line.size() < 40 && !in_.ends_line(); in_.skip()) line += static_cast<char>(in_.peek());
    return fail(errc::head, "the first line is no number of tensors (1 to 2147483647): " + in_quotes(line), start);
  }

  // A line: its name, its number of values, and where they are.
  bool read_line() {
    tensor_.line = line_;
    if (in_.peek() == ' ') return fail(errc::line, "the line begins with a space: a tensor without a name");
    std::string name;
    for (int c; (c = in_.peek()) != ' ' && !in_.ends_line(); in_.skip()) {
      if (c < 0x20 || c == 0x7f) return fail(errc::line, "a name holds " + shown(c));
      if (name.size() == longest_name) return fail(errc::line, "a name is longer than 65536 bytes");
      name += static_cast<char>(c);
    }
    tensor_.name = book_.names.emplace_back(std::move(name));
    const bool one_space = in_.skip_spaces() == 1;
    if (in_.peek() == cursor::end) return fail(errc::cut, "the file ends in this line");
    number_ = in_.offset();
    if (!in_.read_number(0xffffffff, tensor_.count)) {
      return fail(errc::line, "the name is not followed by a number of values (0 to 4294967295)", number_);
    }
    const std::uint64_t after = in_.offset();
    const tensor plain = tensor_;
    if (!typed_ && read_plain(after)) return true;
    if (typed_ || (book_.tensors.empty() && one_space && plain.count <= 1)) {  // the first line decides for all
      tensor_ = plain;
      in_.leap(after);
      if (read_typed()) return typed_ = true;
      if (typed_) return false;
    }
    tensor_ = plain;
    in_.leap(after);
    in_.skip_spaces();
    tensor_.dialect = dialect::spaced;
    const std::uint64_t first = in_.offset();
    if (in_.peek() == '0') {
      in_.skip();
      if (in_.peek() == 'x' || in_.peek() == 'X') tensor_.dialect = dialect::prefixed;
    }
    in_.leap(first);
    return scan();
  }

  // By arithmetic, if the first value and the line's end are where they should be.
  bool read_plain(std::uint64_t after) {
    if (tensor_.count == 0) {
      in_.skip_spaces();
      tensor_.offset = in_.offset();
      return in_.ends_line();
    }
    const std::uint64_t spaces = in_.skip_spaces();
    if (spaces != 1 && spaces != 2) return false;
    for (int i = 0; i < 8; ++i, in_.skip()) {
      if (digit(in_.peek()) < 0) return false;
    }
    tensor_.dialect = spaces == 2 ? dialect::two_spaces : dialect::one_space;
    tensor_.offset = after + spaces;
    const std::uint64_t end = tensor_.offset - 1 + text_per_value * tensor_.count;
    if (end > book_.source.size()) return false;
    in_.leap(end);
    in_.skip_spaces();
    return in_.ends_line();
  }

  bool read_typed() {
    const char* const wanted = "the name is not followed by a type (0: float, 1: half) and a number of values";
    const std::uint64_t type = tensor_.count;
    tensor_.dialect = type == 0 ? dialect::typed : dialect::typed_half;
    if (type > 1 || in_.skip_spaces() != 1) return fail(errc::line, wanted, number_);
    const std::uint64_t start = in_.offset();
    const bool zero = in_.peek() == '0';  // a number has no zeros before it, as a value may
    if (!in_.read_number(0xffffffff, tensor_.count) || (zero && in_.offset() != start + 1)) {
      return fail(errc::line, wanted, number_);
    }
    return scan();
  }

  bool scan() {
    in_.skip_spaces();
    tensor_.offset = in_.offset();
    for (std::uint64_t i = 0;; ++i) {
      in_.skip_spaces();
      const std::uint64_t start = in_.offset();
      std::uint32_t bits = 0;
      const cursor::value got = in_.read_value(tensor_.dialect, bits);
      if (got == cursor::value::read && i < tensor_.count) continue;
      if (got == cursor::value::none && i == tensor_.count) return true;
      const std::string announced = counted(tensor_.count, "value");
      if (i >= tensor_.count) {
        return fail(errc::values, "the line holds more than the " + announced + " it announces", start);
      }
      if (in_.peek() == cursor::end) {
        return fail(errc::cut, "the file ends after " + std::to_string(i) + " of the " + announced + " announced");
      }
      if (got == cursor::value::none) {
        return fail(errc::values, "the line ends after " + std::to_string(i) + " of the " + announced + " announced");
      }
      const char* wanted = tensor_.dialect == dialect::prefixed     ? "0x and 1 to 8 hex digits"
                           : tensor_.dialect == dialect::typed      ? "1 to 8 hex digits"
                           : tensor_.dialect == dialect::typed_half ? "1 to 4 hex digits"
                                                                    : "8 hex digits";
      const std::uint64_t at = in_.offset();
      std::string text;
      for (in_.leap(start); text.size() < 24 && in_.peek() != ' ' && !in_.ends_line(); in_.skip()) {
        text += static_cast<char>(in_.peek());
      }
      return fail(errc::digit, "value " + std::to_string(i) + " is not " + wanted + " but " + in_quotes(text), at);
    }
  }

  bool sort_names() {
    std::vector<std::uint32_t>& order = book_.by_name;
    const std::vector<tensor>& all = book_.tensors;
    order.resize(all.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::uint32_t>(i);
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      const int way = all[a].name.compare(all[b].name);
      return way != 0 ? way < 0 : a < b;
    });
    const tensor* first = nullptr;
    const tensor* again = nullptr;  // the first line in the file that repeats a name
    for (std::size_t i = 1; i < order.size(); ++i) {
      const tensor &left = all[order[i - 1]], &right = all[order[i]];
      if (left.name != right.name || (again != nullptr && again->line < right.line)) continue;
      first = &left;
      again = &right;
    }
    if (again != nullptr) {
      return book_.fail(why_, errc::duplicate, {again->line, again->offset, again->name},
                        "line " + std::to_string(first->line) + " has the same name");
    }
    book_.loaded.reset(new std::atomic<const float*>[all.size()]);
    for (std::size_t i = 0; i < all.size(); ++i) book_.loaded[i].store(nullptr, std::memory_order_relaxed);
    return true;
  }

  // To the first byte of the first line that is not blank.
  void skip_blank_lines() {
    for (;;) {
      const std::uint64_t start = in_.offset();
      in_.skip_spaces();
      if (!in_.ends_line()) return in_.leap(start);
      if (in_.peek() == '\r') in_.skip();
      if (in_.peek() == cursor::end) return;
      in_.skip();
      ++line_;
    }
  }

  bool fail(errc code, const std::string& message) { return fail(code, message, in_.offset()); }
  bool fail(errc code, const std::string& message, std::uint64_t offset) {
    const place here = {line_, offset, tensor_.name};
    if (in_.refused() != 0) return book_.fail(why_, errc::file, here, system_text(in_.refused()));
    return book_.fail(why_, code, code == errc::not_wts ? place() : here, message);
  }

  book& book_;
  cursor in_;
  error& why_;
  std::uint64_t line_ = 1;
  std::uint64_t count_ = 0;
  bool typed_ = false;
  tensor tensor_;             // the one of this line
  std::uint64_t number_ = 0;  // the offset of what follows its name
};

inline const tensor* describe(const book& book, std::string_view name) noexcept {
  const auto before = [&](std::uint32_t i, std::string_view wanted) { return book.tensors[i].name < wanted; };
  const auto at = std::lower_bound(book.by_name.begin(), book.by_name.end(), name, before);
  if (at == book.by_name.end() || book.tensors[*at].name != name) return nullptr;
  return &book.tensors[*at];
}

// How many letters differ (Levenshtein's distance), or more than `most`.
inline std::size_t letters_apart(std::string_view a, std::string_view b, std::size_t most,
                                 std::vector<std::size_t>& row) {
  if ((a.size() > b.size() ? a.size() - b.size() : b.size() - a.size()) > most) return most + 1;
  row.resize(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t corner = i, least = row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = corner + (a[i] == b[j] ? 0 : 1);
      corner = row[j + 1];
      row[j + 1] = (std::min)({changed, corner + 1, row[j] + 1});
      least = (std::min)(least, row[j + 1]);
    }
    if (least > most) return most + 1;
  }
  return row[b.size()];
}

inline std::vector<std::string_view> nearest(const book& book, std::string_view name, std::size_t most) {
  const auto ends = [](std::string_view text, std::string_view with) {
    return text.size() > with.size() && text.substr(text.size() - with.size()) == with &&
           text[text.size() - with.size() - 1] == '.';
  };
  if (name.size() > 256) return {};
  std::vector<std::pair<std::size_t, std::size_t>> found;  // distance, index
  std::vector<std::size_t> row;
  const std::size_t limit = name.size() / 3;
  for (std::size_t i = 0; i < book.tensors.size(); ++i) {
    const std::string_view other = book.tensors[i].name;
    const bool prefixed = !name.empty() && (ends(other, name) || ends(name, other));  // by "module.", say
    const std::size_t apart = prefixed ? 0 : letters_apart(name, other, limit, row);
    if (apart <= limit) found.emplace_back(apart, i);
  }
  most = (std::min)(most, found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(most), found.end());
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < most; ++i) names.push_back(book.tensors[found[i].second].name);
  return names;
}

inline bool fail_missing(const book& book, std::string_view name, const std::uint64_t* count, error& why) {
  std::string text = "no tensor " + in_quotes(name);
  if (count != nullptr) text += " (" + counted(*count, "value") + " expected)";
  text += " among the " + std::to_string(book.tensors.size()) + " of the file";
  const char* before = "; nearest: ";
  for (const std::string_view other : nearest(book, name, 3)) {
    text += before + in_quotes(other) + " (" + counted(describe(book, other)->count, "value") + ")";
    before = ", ";
  }
  book.fail(why, errc::missing, {}, text);
  why.tensor = std::string(name);
  return false;
}

inline bool fail_count(const book& book, const tensor& t, std::uint64_t expected, error& why) {
  return book.fail(why, errc::count, {t.line, t.offset, t.name},
                   "it holds " + counted(t.count, "value") + ", not the " + std::to_string(expected) + " expected");
}

// ---------------------------------------------------------------------------------------------------------------------
// Decoding
// ---------------------------------------------------------------------------------------------------------------------

constexpr bool is_plain(dialect d) noexcept { return d == dialect::two_spaces || d == dialect::one_space; }

// The values [begin, end) of one tensor, and where they go.
struct piece {
  const wts::tensor* tensor;
  std::uint64_t begin, end;
  float* values;

  std::uint64_t from() const noexcept { return tensor->offset - 1 + text_per_value * begin; }  // only if it is plain
  std::uint64_t to() const noexcept { return tensor->offset - 1 + text_per_value * end; }
  std::size_t size() const noexcept { return static_cast<std::size_t>(end - begin); }
};

// Pieces that lie so near each other that one read brings them all.
struct group {
  std::size_t first, last;  // of the pieces; `last` is one past
  std::uint64_t from = 0, to = 0;
};

// What is wrong with the text of a plain piece that no kernel could decode.
inline bool explain(const book& book, const piece& piece, const char* text, error& why) {
  const tensor& t = *piece.tensor;
  const std::size_t at = first_wrong({text, piece.size() * text_per_value});
  const place where = {t.line, piece.from() + at, t.name};
  if (at == piece.size() * text_per_value)
    return book.fail(why, errc::changed, where, "the text changes while it is read");
  const std::string value = std::to_string(piece.begin + at / text_per_value);
  const int c = static_cast<unsigned char>(text[at]);
  if (at % text_per_value == 0 && (c == '\n' || c == '\r')) {
    return book.fail(why, errc::values, where,
                     "the line ends after " + value + " of the " + counted(t.count, "value") + " announced");
  }
  const char* wanted = at % text_per_value == 0 ? " has no space before it but " : " has no hex digit but ";
  return book.fail(why, errc::digit, where, "value " + value + wanted + shown(c));
}

inline float from_half(std::uint32_t half) noexcept {
  const std::uint32_t sign = (half & 0x8000) << 16;
  std::uint32_t exponent = half >> 10 & 31, fraction = half & 0x3ff, bits = sign;
  if (exponent == 31) {
    bits |= 0x7f800000 | fraction << 13 | (fraction != 0 ? 1u << 22 : 0);
  } else if (exponent != 0) {
    bits |= (exponent + 112) << 23 | fraction << 13;
  } else if (fraction != 0) {
    for (exponent = 113; (fraction & 0x400) == 0; fraction <<= 1) --exponent;
    bits |= exponent << 23 | (fraction & 0x3ff) << 13;
  }
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline bool decode_scanned(const book& book, const piece& piece, error& why) {
  const tensor& t = *piece.tensor;
  cursor in(book.source, t.offset);
  for (std::uint64_t i = 0; i < piece.end; ++i) {
    std::uint32_t bits = 0;
    if (in.read_value(t.dialect, bits) != cursor::value::read) {
      return book.fail(why, errc::changed, {t.line, in.offset(), t.name}, "the file has changed since it was opened");
    }
    if (i < piece.begin) continue;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    piece.values[i - piece.begin] = t.dialect == dialect::typed_half ? from_half(bits) : value;
  }
  return true;
}

// The memory that one thread reads into.
class scratch {
 public:
  // For bytes of the file from this offset on: as far from a page's start as they are in the file, since the system
  // copies to there up to twice as fast as to elsewhere.
  char* get(std::uint64_t from, std::size_t size) {
    if (size <= sizeof small_) return small_;
    if (!large_) large_.emplace(chunk * text_per_value + page);
    return large_->get() == nullptr ? nullptr : static_cast<char*>(large_->get()) + from % page;
  }

 private:
  char small_[16384];
  std::optional<block> large_;
};

inline bool decode_group(const book& book, const std::vector<piece>& pieces, const group& group, scratch& memory,
                         error& why) {
  const piece& first = pieces[group.first];
  if (!is_plain(first.tensor->dialect)) return decode_scanned(book, first, why);
  const auto size = static_cast<std::size_t>(group.to - group.from);
  const char* text = book.source.memory();
  if (text != nullptr) {
    text += group.from;
  } else {
    char* const buffer = memory.get(group.from, size);
    if (buffer == nullptr) return book.fail(why, errc::memory, {}, "out of memory");
    system_code refused = 0;
    const std::size_t got = book.source.read(group.from, buffer, size, refused);
    const tensor& t = *first.tensor;
    if (refused != 0) return book.fail(why, errc::file, {t.line, group.from + got, t.name}, system_text(refused));
    if (got < size) {
      return book.fail(
          why, errc::changed, {t.line, group.from + got, t.name},
          "the file ends here: it had " + std::to_string(book.source.size()) + " bytes when it was opened");
    }
    text = buffer;
  }
  for (std::size_t i = group.first; i < group.last; ++i) {
    const piece& p = pieces[i];
    const char* from = text + (p.from() - group.from);
    if (!book.kernel->decode(from, p.size(), p.values)) return explain(book, p, from, why);
  }
  return true;
}

inline unsigned threads_that_pay(const book& book, std::uint64_t text) noexcept {
  const unsigned here = (std::min)(std::thread::hardware_concurrency(), most_threads);  // 0: not known
  const unsigned most = (std::max)(book.threads != 0 ? book.threads : here, 1u);
  return static_cast<unsigned>((std::min)(std::uint64_t{most}, text / text_per_thread + 1));
}

// Decodes the pieces, which are given in the order of the file, with as many threads as pay. Of several errors it is
// told the one that comes first in the file.
inline bool decode(const book& book, const std::vector<piece>& whole, error& why) {
  std::vector<piece> pieces;
  std::vector<group> groups;
  std::uint64_t text = 0;
  for (piece p : whole) {
    if (p.begin == p.end) continue;
    const bool plain = is_plain(p.tensor->dialect);
    const std::uint64_t end = p.end;
    do {
      p.end = plain ? (std::min)(end, p.begin + chunk) : end;
      const std::uint64_t from = plain ? p.from() : 0, to = plain ? p.to() : 0;
      const bool joins = plain && !groups.empty() && groups.back().to != 0 && from >= groups.back().to &&
                         to - groups.back().from <= chunk * text_per_value;
      if (!joins) groups.push_back({pieces.size(), pieces.size(), from, to});
      pieces.push_back(p);
      groups.back().last = pieces.size();
      groups.back().to = to;
      text += plain ? to - from : text_per_value * (p.end - p.begin);
      p.values += p.size();
      p.begin = p.end;
    } while (p.end < end);
  }

  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::size_t worst = groups.size();
  const auto work = [&] {
    scratch memory;
    for (std::size_t i = 0; !failed && (i = next++) < groups.size();) {
      error problem;
      if (may(&problem, [&](error& e) { return decode_group(book, pieces, groups[i], memory, e); })) continue;
      const std::lock_guard<std::mutex> lock(mutex);
      failed = true;
      if (i >= worst) continue;
      worst = i;
      why = std::move(problem);
    }
  };
  std::vector<std::thread> others;
  [[maybe_unused]] const unsigned threads = threads_that_pay(book, text);
#if WTS_EXCEPTIONS  // a thread that cannot be had is one
  try {
    while (others.size() + 1 < threads) others.emplace_back(work);
  } catch (...) {  // then with fewer
  }
#endif
  work();
  for (std::thread& other : others) other.join();
  return worst == groups.size();
}

// Decodes these tensors into memory that the book owns.
inline bool load(book& book, const std::vector<std::size_t>& wanted, error& why) {
  constexpr std::size_t align = 64 / sizeof(float);
  static const float nothing = 0;
  const std::lock_guard<std::mutex> lock(book.loading);
  std::vector<std::pair<std::size_t, std::size_t>> places;  // the tensor, and its values' place in the block
  std::uint64_t size = 0;
  for (const std::size_t i : wanted) {
    const std::uint64_t count = book.tensors[i].count;
    if (book.loaded[i].load(std::memory_order_relaxed) != nullptr) continue;
    if (count == 0) {
      book.loaded[i].store(&nothing, std::memory_order_release);
      continue;
    }
    places.emplace_back(i, static_cast<std::size_t>(size));
    size += (count + align - 1) / align * align;
    if (size > (std::numeric_limits<std::size_t>::max)() / sizeof(float) / 2) {
      return book.fail(why, errc::memory, {}, "out of memory");
    }
  }
  if (places.empty()) return true;
  block memory(static_cast<std::size_t>(size) * sizeof(float));
  if (memory.get() == nullptr) return book.fail(why, errc::memory, {}, "out of memory");
  float* const values = static_cast<float*>(memory.get());
  std::vector<piece> pieces;
  pieces.reserve(places.size());
  for (const auto& [i, at] : places) pieces.push_back({&book.tensors[i], 0, book.tensors[i].count, values + at});
  if (!decode(book, pieces, why)) return false;
  book.blocks.push_back(std::move(memory));
  for (const auto& [i, at] : places) book.loaded[i].store(values + at, std::memory_order_release);
  return true;
}

inline bool load_all(book& book, error& why) {
  std::vector<std::size_t> all(book.tensors.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  return load(book, all, why);
}

inline bool find(book& book, std::string_view name, const std::uint64_t* count, span<const float>& values, error& why) {
  const tensor* t = describe(book, name);
  if (t == nullptr) return fail_missing(book, name, count, why);
  if (count != nullptr && t->count != *count) return fail_count(book, *t, *count, why);
  const auto i = static_cast<std::size_t>(t - book.tensors.data());
  const float* found = book.loaded[i].load(std::memory_order_acquire);
  if (found == nullptr) {
    if (!load(book, {i}, why)) return false;
    found = book.loaded[i].load(std::memory_order_relaxed);
  }
  values = {found, static_cast<std::size_t>(t->count)};
  return true;
}

inline bool read(const book& book, std::string_view name, float* values, std::uint64_t count, error& why) {
  const tensor* t = describe(book, name);
  if (t == nullptr) return fail_missing(book, name, &count, why);
  if (t->count != count) return fail_count(book, *t, count, why);
  return decode(book, {{t, 0, count, values}}, why);
}

inline bool read(const book& book, const piece& piece, error& why) {
  const tensor& t = *piece.tensor;
  if (piece.begin <= piece.end && piece.end <= t.count) return decode(book, {piece}, why);
  return book.fail(
      why, errc::range, {t.line, t.offset, t.name},
      "values " + std::to_string(piece.begin) + " to " + std::to_string(piece.end) + " of " + std::to_string(t.count));
}

inline bool read_all(const book& book, float* const* values, error& why) {
  std::vector<piece> pieces;
  for (std::size_t i = 0; i < book.tensors.size(); ++i) {
    const tensor& t = book.tensors[i];
    if (values[i] != nullptr) pieces.push_back({&t, 0, t.count, values[i]});
  }
  return decode(book, pieces, why);
}

inline bool choose_kernel(book& book, const char* name, error& why) {
  book.kernel = wts::choose_kernel(name);
  if (book.kernel != nullptr) return true;
  std::string known;
  for (const wts::kernel& each : all_kernels) {
    known +=
        (known.empty() ? "" : ", ") + std::string(each.name) + (each.supported() ? "" : " (not on this processor)");
  }
  return book.fail(why, errc::kernel, {}, "no kernel " + in_quotes(wanted_kernel(name)) + "; this build has " + known);
}

// Opens a file, or the text where there is one.
inline bool open(const std::string& path, const std::string_view* text, const options& options,
                 std::unique_ptr<book>& opened, error& why) {
  auto made = std::make_unique<book>();
  made->path = path;
  made->threads = options.threads;
  if (!choose_kernel(*made, options.kernel, why)) return false;
  if (text != nullptr) {
    made->source.hold(*text);
  } else if (!made->source.open(path, why)) {
    return false;
  }
  if (!indexer(*made, why).run()) return false;
  opened = std::move(made);
  return true;
}

}  // namespace detail

// ---------------------------------------------------------------------------------------------------------------------
// The public functions
// ---------------------------------------------------------------------------------------------------------------------

inline span<const kernel> kernels() noexcept {
  return {detail::all_kernels, sizeof detail::all_kernels / sizeof *detail::all_kernels};
}

inline const kernel* choose_kernel(const char* name) noexcept {
  const char* wanted = detail::wanted_kernel(name);
  for (const kernel& each : detail::all_kernels) {
    if (*wanted == '\0' ? each.supported() : std::strcmp(wanted, each.name) == 0)
      return each.supported() ? &each : nullptr;
  }
  return nullptr;
}

inline std::size_t first_wrong(std::string_view text) noexcept {
  std::size_t i = 0;
  const auto good = [&](unsigned char c) { return i % detail::text_per_value == 0 ? c == ' ' : detail::digit(c) >= 0; };
  while (i < text.size() && good(static_cast<unsigned char>(text[i]))) ++i;
  return i;
}

inline weights::weights(std::unique_ptr<detail::book> book) noexcept : book_(std::move(book)) {}
inline weights::weights(weights&&) noexcept = default;
inline weights& weights::operator=(weights&&) noexcept = default;
inline weights::~weights() = default;

inline std::size_t weights::size() const noexcept { return book_->tensors.size(); }
inline const tensor* weights::begin() const noexcept { return book_->tensors.data(); }
inline const tensor* weights::end() const noexcept { return begin() + size(); }
inline const kernel& weights::kernel() const noexcept { return *book_->kernel; }

inline std::vector<std::string_view> weights::names() const {
  std::vector<std::string_view> names;
  for (const tensor& t : *this) names.push_back(t.name);
  return names;
}

inline const tensor* weights::describe(std::string_view name) const noexcept { return detail::describe(*book_, name); }

inline std::vector<std::string_view> weights::nearest(std::string_view name, std::size_t most) const {
  return detail::nearest(*book_, name, most);
}

inline span<const float> weights::at(std::string_view name) const {
  span<const float> values;
  detail::must([&](error& why) { return detail::find(*book_, name, nullptr, values, why); });
  return values;
}

inline span<const float> weights::at(std::string_view name, std::uint64_t count) const {
  span<const float> values;
  detail::must([&](error& why) { return detail::find(*book_, name, &count, values, why); });
  return values;
}

inline std::optional<span<const float>> weights::find(std::string_view name, error* why) const noexcept {
  if (why == nullptr && !contains(name)) return std::nullopt;  // spares the search for near names
  span<const float> values;
  const auto work = [&](error& e) { return detail::find(*book_, name, nullptr, values, e); };
  return detail::may(why, work) ? std::optional(values) : std::nullopt;
}

inline std::optional<span<const float>> weights::find(std::string_view name, std::uint64_t count,
                                                      error* why) const noexcept {
  if (why == nullptr && !contains(name)) return std::nullopt;
  span<const float> values;
  const auto work = [&](error& e) { return detail::find(*book_, name, &count, values, e); };
  return detail::may(why, work) ? std::optional(values) : std::nullopt;
}

inline void weights::load_all() const {
  detail::must([&](error& why) { return detail::load_all(*book_, why); });
}

inline bool weights::try_load_all(error* why) const noexcept {
  return detail::may(why, [&](error& e) { return detail::load_all(*book_, e); });
}

inline void weights::read(std::string_view name, float* values, std::uint64_t count) const {
  detail::must([&](error& why) { return detail::read(*book_, name, values, count, why); });
}

inline bool weights::try_read(const tensor& tensor, std::uint64_t begin, std::uint64_t end, float* values,
                              error* why) const noexcept {
  return detail::may(why, [&](error& e) { return detail::read(*book_, {&tensor, begin, end, values}, e); });
}

inline void weights::read_all(float* const* values) const {
  detail::must([&](error& why) { return detail::read_all(*book_, values, why); });
}

inline bool weights::try_read_all(float* const* values, error* why) const noexcept {
  return detail::may(why, [&](error& e) { return detail::read_all(*book_, values, e); });
}

inline weights open(const std::string& path, const options& options) {
  std::unique_ptr<detail::book> book;
  detail::must([&](error& why) { return detail::open(path, nullptr, options, book, why); });
  return weights(std::move(book));
}

inline std::optional<weights> try_open(const std::string& path, error* why, const options& options) noexcept {
  std::unique_ptr<detail::book> book;
  const auto work = [&](error& e) { return detail::open(path, nullptr, options, book, e); };
  return detail::may(why, work) ? std::optional<weights>(std::move(book)) : std::nullopt;
}

inline weights parse(std::string_view text, const std::string& name, const options& options) {
  std::unique_ptr<detail::book> book;
  detail::must([&](error& why) { return detail::open(name, &text, options, book, why); });
  return weights(std::move(book));
}

inline std::optional<weights> try_parse(std::string_view text, error* why, const std::string& name,
                                        const options& options) noexcept {
  std::unique_ptr<detail::book> book;
  const auto work = [&](error& e) { return detail::open(name, &text, options, book, e); };
  return detail::may(why, work) ? std::optional<weights>(std::move(book)) : std::nullopt;
}

}  // namespace WTS_ABI
}  // namespace wts

#undef WTS_AVX512
#undef WTS_AVX2
#undef WTS_TARGET
#undef WTS_TARGET_INLINE

#endif  // WTS_HPP

// ---------------------------------------------------------------------------------------------------------------------
// TensorRT: where NvInfer.h was included before (or WTS_TENSORRT is defined). Outside the guard above, so that a unit
// that included this file earlier can do so again after NvInfer.h.
// ---------------------------------------------------------------------------------------------------------------------
#if (defined(NV_INFER_H) || defined(NV_INFER_RUNTIME_H) || defined(WTS_TENSORRT)) && !defined(WTS_LOAD_WEIGHTS)
#define WTS_LOAD_WEIGHTS

namespace wts {
inline namespace WTS_ABI {

// What a program's own loadWeights() did, checked: all tensors, each in memory of its own (4 bytes a value, none for an
// empty one) that the caller frees with std::free, as such programs do. Throws error; nothing then stays allocated.
inline std::map<std::string, nvinfer1::Weights> loadWeights(const std::string& path) {
  const weights opened = open(path);
  struct owned {
    std::vector<float*> values;
    ~owned() {
      for (float* each : values) std::free(each);
    }
  } memory;
  memory.values.reserve(opened.size());
  std::map<std::string, nvinfer1::Weights> result;
  for (const tensor& t : opened) {
    const bool fits = t.count <= (std::numeric_limits<std::size_t>::max)() / sizeof(float);
    const auto size = fits ? static_cast<std::size_t>(t.count) * sizeof(float) : 0;
    float* const values = size != 0 ? static_cast<float*>(std::malloc(size)) : nullptr;
    if (values == nullptr && t.count != 0) {
      error why;
      detail::fail(why, errc::memory, path, {t.line, t.offset, t.name}, "out of memory");
      detail::raise(std::move(why));
    }
    if (size >= 2 * detail::huge_page) detail::prepare_fresh(values, size);
    memory.values.push_back(values);
    nvinfer1::Weights& filled = result[std::string(t.name)];
    filled.type = nvinfer1::DataType::kFLOAT;
    filled.values = values;
    filled.count = static_cast<decltype(filled.count)>(t.count);
  }
  opened.read_all(memory.values.data());
  memory.values.clear();
  return result;
}

}  // namespace WTS_ABI
}  // namespace wts
#endif
