#include "pickle/literals.hpp"

#include <locale.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

namespace pywts::pickle {
namespace {

// The digits that long integers are reckoned in, and what holds the product of two.
#if defined(__SIZEOF_INT128__)
using Limb = std::uint64_t;
__extension__ typedef unsigned __int128 Wide;
constexpr Limb kDecimalChunk = 1'000'000'000'000'000'000;  // the largest power of ten that a limb holds, or nearly
#else
using Limb = std::uint32_t;
using Wide = std::uint64_t;
constexpr Limb kDecimalChunk = 1'000'000'000;
#endif
constexpr unsigned kLimbBits = sizeof(Limb) * 8;

unsigned byte_at(std::string_view text, std::size_t index) noexcept { return static_cast<unsigned char>(text[index]); }

bool is_blank(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// The value of a digit up to base 16; 99 if it is none.
unsigned digit_value(char c) noexcept {
  if (is_digit(c)) return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
  return 99;
}

// Takes `count` hexadecimal digits off the front. False: there are fewer.
bool take_hex(std::string_view& text, unsigned count, std::uint32_t& value) noexcept {
  if (text.size() < count) return false;
  value = 0;
  for (unsigned i = 0; i < count; ++i) {
    const unsigned digit = digit_value(text[i]);
    if (digit >= 16) return false;
    value = value << 4 | digit;
  }
  text.remove_prefix(count);
  return true;
}

void append_utf8(std::string& result, std::uint32_t c) {
  const auto add = [&result](std::uint32_t byte) { result.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    add(c);
  } else if (c < 0x800) {
    add(0xc0 | c >> 6);
    add(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    add(0xe0 | c >> 12);
    add(0x80 | (c >> 6 & 0x3f));
    add(0x80 | (c & 0x3f));
  } else {
    add(0xf0 | c >> 18);
    add(0x80 | (c >> 12 & 0x3f));
    add(0x80 | (c >> 6 & 0x3f));
    add(0x80 | (c & 0x3f));
  }
}

std::size_t ascii_prefix(std::string_view text) noexcept {
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t eight;
    std::memcpy(&eight, text.data() + i, 8);
    if ((eight & 0x8080808080808080u) != 0) break;
  }
  while (i < text.size() && byte_at(text, i) < 0x80) ++i;
  return i;
}

// The length of the UTF-8 sequence at the start of `text`, which does not begin with ASCII; 0 if it is none.
std::size_t sequence_length(std::string_view text, bool surrogates) noexcept {
  const unsigned first = byte_at(text, 0);
  const std::size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte_at(text, i) & 0xc0) != 0x80) return 0;
  }
  const unsigned second = byte_at(text, 1);
  if (first == 0xe0 && second < 0xa0) return 0;  // overlong
  if (first == 0xed && second >= 0xa0 && !surrogates) return 0;
  if (first == 0xf0 && second < 0x90) return 0;   // overlong
  if (first == 0xf4 && second >= 0x90) return 0;  // past U+10FFFF
  return length;
}

// The digits of an integer's text: where they are, and what they are.
struct Digits {
  std::string_view text;  // digits and single underscores between them
  std::size_t count = 0;
  unsigned base = 10;
};

// Takes digits off the front as Python does: single underscores between them. False: none, or an underscore astray.
bool take_digits(std::string_view& text, Digits& digits) noexcept {
  std::size_t i = 0;
  char before = '_';
  for (; i < text.size() && (text[i] == '_' || digit_value(text[i]) < digits.base); ++i) {
    if (text[i] == '_' && before == '_') return false;
    if (text[i] != '_') ++digits.count;
    before = text[i];
  }
  digits.text = text.substr(0, i);
  text.remove_prefix(i);
  return before != '_';
}

using Limbs = std::vector<Limb>;  // a magnitude, least significant first

void multiply_add(Limbs& limbs, Limb factor, Limb carry) {
  for (Limb& limb : limbs) {
    const Wide product = static_cast<Wide>(limb) * factor + carry;
    limb = static_cast<Limb>(product);
    carry = static_cast<Limb>(product >> kLimbBits);
  }
  if (carry != 0) limbs.push_back(carry);
}

Limbs decimal_magnitude(const Digits& digits) {
  Limbs limbs;
  Limb chunk = 0;
  Limb scale = 1;
  for (const char c : digits.text) {
    if (c == '_') continue;
    chunk = chunk * 10 + digit_value(c);
    scale *= 10;
    if (scale == kDecimalChunk) {
      multiply_add(limbs, scale, chunk);
      chunk = 0;
      scale = 1;
    }
  }
  multiply_add(limbs, scale, chunk);
  return limbs;
}

Limbs binary_magnitude(const Digits& digits) {
  const unsigned bits = digits.base == 16 ? 4 : digits.base == 8 ? 3 : 1;
  Limbs limbs(digits.count * bits / kLimbBits + 1);
  std::size_t at = 0;
  for (std::size_t i = digits.text.size(); i-- > 0;) {
    if (digits.text[i] == '_') continue;
    const Limb value = digit_value(digits.text[i]);
    const std::size_t shift = at % kLimbBits;
    limbs[at / kLimbBits] |= value << shift;
    if (shift + bits > kLimbBits) limbs[at / kLimbBits + 1] |= value >> (kLimbBits - shift);
    at += bits;
  }
  return limbs;
}

// Two's complement bytes of a magnitude and its sign.
std::string signed_bytes(Limbs limbs, bool negative) {
  limbs.push_back(0);  // room for the sign
  if (negative) {
    bool carry = true;
    for (Limb& limb : limbs) {
      limb = ~limb + (carry ? 1 : 0);
      carry = carry && limb == 0;
    }
  }
  std::string bytes;
  bytes.reserve(limbs.size() * sizeof(Limb));
  for (const Limb limb : limbs) {
    for (unsigned shift = 0; shift < kLimbBits; shift += 8) bytes.push_back(static_cast<char>(limb >> shift & 0xff));
  }
  bytes.resize(without_sign_bytes(bytes).size());
  return bytes;
}

std::string_view until_nul(std::string_view text) noexcept { return text.substr(0, text.find('\0')); }

bool starts_without_case(std::string_view text, std::string_view lower) noexcept {
  if (text.size() < lower.size()) return false;
  for (std::size_t i = 0; i < lower.size(); ++i) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + ('a' - 'A')) : text[i];
    if (c != lower[i]) return false;
  }
  return true;
}

// Digits, a point, an exponent: the whole text must be a decimal number without sign.
bool is_decimal_real(std::string_view text) noexcept {
  std::size_t i = 0, digits = 0;
  const auto skip_digits = [&] {
    std::size_t skipped = 0;
    for (; i < text.size() && is_digit(text[i]); ++i) ++skipped;
    return skipped;
  };
  digits += skip_digits();
  if (i < text.size() && text[i] == '.') {
    ++i;
    digits += skip_digits();
  }
  if (digits == 0) return false;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
    if (skip_digits() == 0) return false;
  }
  return i == text.size();
}

double to_double(const std::string& text) {
  static const locale_t plain = ::newlocale(LC_ALL_MASK, "C", nullptr);  // the user's may have a decimal comma
  return ::strtod_l(text.c_str(), nullptr, plain);
}

}  // namespace

bool is_ascii(std::string_view text) noexcept { return ascii_prefix(text) == text.size(); }

bool is_utf8(std::string_view text, bool surrogates) noexcept {
  for (;;) {
    text.remove_prefix(ascii_prefix(text));
    if (text.empty()) return true;
    const std::size_t length = sequence_length(text, surrogates);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
}

std::string_view without_sign_bytes(std::string_view bytes) noexcept {
  std::size_t size = bytes.size();
  while (size > 1) {
    const unsigned last = byte_at(bytes, size - 1);
    const unsigned sign = byte_at(bytes, size - 2) >> 7;
    if (last != (sign != 0 ? 0xffu : 0u)) break;
    --size;
  }
  return bytes.substr(0, size);
}

std::int64_t small_integer(std::string_view bytes) noexcept {
  if (bytes.empty()) return 0;
  std::uint64_t value = byte_at(bytes, bytes.size() - 1) >> 7 != 0 ? ~std::uint64_t{0} : 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | byte_at(bytes, i);
  return static_cast<std::int64_t>(value);
}

IntegerText read_integer(std::string_view text, int base, std::uint64_t most_bytes, Integer& result) {
  text = until_nul(text);
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  bool negative = false;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  Digits digits;
  bool only_zero = false;
  if (base == 0 && text.size() >= 2 && text[0] == '0') {
    const char mark = text[1];
    digits.base = mark == 'x' || mark == 'X'   ? 16
                  : mark == 'o' || mark == 'O' ? 8
                  : mark == 'b' || mark == 'B' ? 2
                                               : 10;
    if (digits.base == 10) {
      only_zero = true;  // C's octals are no Python numbers, but 00 is zero
    } else {
      text.remove_prefix(2);
      if (!text.empty() && text[0] == '_') text.remove_prefix(1);
    }
  }
  if (!take_digits(text, digits) || !text.empty()) return IntegerText::malformed;
  const bool decimal = digits.base == 10;
  if (decimal && digits.count > kMostDecimalDigits) return IntegerText::too_long;
  if (digits.count / 8 > most_bytes) return IntegerText::too_long;  // even binary digits would not fit

  std::string bytes = signed_bytes(decimal ? decimal_magnitude(digits) : binary_magnitude(digits), negative);
  if (bytes.size() > most_bytes && bytes.size() > 8) return IntegerText::too_long;
  result.big = bytes.size() > 8;
  result.value = result.big ? 0 : small_integer(bytes);
  if (only_zero && (result.big || result.value != 0)) return IntegerText::malformed;
  if (result.big) result.bytes = std::move(bytes);
  return IntegerText::good;
}

std::optional<std::int64_t> read_c_long(std::string_view text) noexcept {
  text = until_nul(text);
  if (text.empty()) return 0;  // nothing read, nothing left over
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  bool negative = false;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  unsigned base = 10;
  if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
    base = 16;
    text.remove_prefix(2);
  } else if (!text.empty() && text[0] == '0') {
    base = 8;
  }
  if (text.empty()) return std::nullopt;
  constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  const std::uint64_t bound = negative ? most + 1 : most;
  std::uint64_t value = 0;
  for (const char c : text) {
    const unsigned digit = digit_value(c);
    if (digit >= base || value > (bound - digit) / base) return std::nullopt;
    value = value * base + digit;
  }
  return static_cast<std::int64_t>(negative ? 0 - value : value);
}

std::optional<double> read_real(std::string_view text) {
  text = until_nul(text);
  const bool negative = !text.empty() && text[0] == '-';
  std::string_view magnitude = text;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) magnitude.remove_prefix(1);
  double value;
  if (starts_without_case(magnitude, "inf") &&
      (magnitude.size() == 3 || (magnitude.size() == 8 && starts_without_case(magnitude, "infinity")))) {
    value = std::numeric_limits<double>::infinity();
  } else if (starts_without_case(magnitude, "nan") && magnitude.size() == 3) {
    value = std::numeric_limits<double>::quiet_NaN();
  } else {
    if (!is_decimal_real(magnitude)) return std::nullopt;
    value = to_double(std::string(magnitude));
    if (std::isinf(value)) return std::nullopt;
  }
  return negative ? -value : value;
}

bool decode_escapes(std::string_view text, std::string& result) {
  while (!text.empty()) {
    const std::size_t plain = std::min(text.find('\\'), text.size());
    result.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    if (text.size() == 1) return false;  // a backslash at the end
    const char c = text[1];
    text.remove_prefix(2);
    static constexpr std::string_view kNames = "\\'\"abfnrtv";
    static constexpr std::string_view kMeanings = "\\'\"\a\b\f\n\r\t\v";
    const std::size_t known = kNames.find(c);
    if (known != std::string_view::npos) {
      result.push_back(kMeanings[known]);
    } else if (c >= '0' && c <= '7') {
      unsigned value = static_cast<unsigned>(c - '0');
      for (int more = 0; more < 2 && !text.empty() && text[0] >= '0' && text[0] <= '7'; ++more) {
        value = value * 8 + static_cast<unsigned>(text[0] - '0');
        text.remove_prefix(1);
      }
      result.push_back(static_cast<char>(value & 0xff));
    } else if (c == 'x') {
      std::uint32_t value;
      if (!take_hex(text, 2, value)) return false;
      result.push_back(static_cast<char>(value));
    } else {  // unknown: it stands for itself
      result.push_back('\\');
      result.push_back(c);
    }
  }
  return true;
}

bool decode_raw_unicode(std::string_view text, std::string& result) {
  while (!text.empty()) {
    const char c = text[0];
    text.remove_prefix(1);
    if (c != '\\' || text.empty()) {
      append_utf8(result, static_cast<unsigned char>(c));  // Latin-1
      continue;
    }
    const char next = text[0];
    text.remove_prefix(1);
    if (next != 'u' && next != 'U') {
      result.push_back('\\');
      append_utf8(result, static_cast<unsigned char>(next));
      continue;
    }
    std::uint32_t value;
    if (!take_hex(text, next == 'u' ? 4 : 8, value) || value > 0x10ffff) return false;
    append_utf8(result, value);
  }
  return true;
}

}  // namespace pywts::pickle
