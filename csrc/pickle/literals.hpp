// The text forms inside a pickle, read exactly as CPython reads them: the numbers and strings of protocol 0, UTF-8.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pywts::pickle {

bool is_ascii(std::string_view text) noexcept;
// `surrogates`: U+D800 ... U+DFFF may stand in it, each encoded for itself (Python's "surrogatepass").
bool is_utf8(std::string_view text, bool surrogates) noexcept;

struct Integer {
  bool big = false;        // does not fit int64
  std::int64_t value = 0;  // unless big
  std::string bytes;       // if big: little-endian two's complement, no byte more than needed
};

inline constexpr std::size_t kMostDecimalDigits = 10'000;  // conversion is quadratic; CPython's own bound is 4300

enum class IntegerText { good, malformed, too_long };

// Python's int(text, base) for base 10 or 0; an embedded NUL ends the text. `most_bytes` bounds the number's size.
IntegerText read_integer(std::string_view text, int base, std::uint64_t most_bytes, Integer& result);
// C's strtol(text, &end, 0) if it takes the whole text and the number fits.
std::optional<std::int64_t> read_c_long(std::string_view text) noexcept;
// Little-endian two's complement bytes, without the bytes that only repeat the sign.
std::string_view without_sign_bytes(std::string_view bytes) noexcept;
// At most eight such bytes.
std::int64_t small_integer(std::string_view bytes) noexcept;

// Python's float(text) as pickle has it: no blanks, no underscores; too large a number is no number.
std::optional<double> read_real(std::string_view text);

// The escapes of a Python 2 string literal. False: a broken one.
bool decode_escapes(std::string_view text, std::string& result);
// Python's raw-unicode-escape, into UTF-8 (surrogates as above). False: a broken escape.
bool decode_raw_unicode(std::string_view text, std::string& result);

}  // namespace pywts::pickle
