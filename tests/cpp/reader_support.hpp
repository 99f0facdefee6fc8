// What the tests of the reader share: failures, temporary files, the vectors, and a reader that is as plain as can be.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wts.hpp"

namespace reader_test {

inline int failures = 0;

inline bool expect(bool condition, const std::string& what) {
  if (condition) return true;
  std::printf("FAILED %s\n", what.c_str());
  ++failures;
  return false;
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// A file with this text, as long as it lives.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view text) {
    static int number = 0;
    const auto unique =
        std::to_string(reinterpret_cast<std::uintptr_t>(this)) + "_" + std::to_string(number++) + ".wts";
    path_ = std::filesystem::temp_directory_path() / ("wts_reader_" + unique);
    std::ofstream(path_, std::ios::binary).write(text.data(), static_cast<std::streamsize>(text.size()));
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

inline std::uint32_t bits_of(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float number_of(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// --- A plain reader, written from docs/format.md: one line at a time, digit by digit.

struct PlainTensor {
  std::string name;
  std::vector<std::uint32_t> bits;
};

inline std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

inline std::vector<std::string_view> words(std::string_view line) {
  std::vector<std::string_view> result;
  for (const std::string_view word : split(line, ' ')) {
    if (!word.empty()) result.push_back(word);
  }
  return result;
}

inline std::optional<std::uint64_t> decimal(std::string_view word, std::uint64_t most) {
  std::uint64_t number = 0;
  for (const char c : word) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + static_cast<std::uint64_t>(c - '0');
    if (number > most) return std::nullopt;
  }
  return word.empty() ? std::nullopt : std::optional(number);
}

inline std::optional<std::uint32_t> hexadecimal(std::string_view word, std::size_t least, std::size_t most) {
  if (word.size() < least || word.size() > most) return std::nullopt;
  std::uint32_t number = 0;
  for (const char c : word) {
    const std::size_t digit = std::string_view("0123456789abcdefABCDEF").find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    number = number * 16 + static_cast<std::uint32_t>(digit < 16 ? digit : digit - 6);
  }
  return number;
}

inline std::uint32_t widened(std::uint32_t half) {
  const std::uint32_t sign = half >> 15 << 31, exponent = half >> 10 & 31, fraction = half & 1023;
  if (exponent == 31) return sign | 0x7f800000 | (fraction != 0 ? 0x400000 : 0) | fraction << 13;
  const float scale = 1.0f / (1 << 24);  // of the smallest subnormal
  float value = static_cast<float>(exponent == 0 ? fraction : fraction | 1024) * scale;
  for (std::uint32_t i = 1; i < exponent; ++i) value *= 2;
  return sign | bits_of(value);
}

// The values of one kind behind the head, or nothing.
inline std::optional<std::vector<std::uint32_t>> plain_values(const std::vector<std::string_view>& words,
                                                              std::size_t from, std::uint64_t count, char kind) {
  if (words.size() - from != count) return std::nullopt;
  std::vector<std::uint32_t> bits;
  for (std::size_t i = from; i < words.size(); ++i) {
    std::string_view word = words[i];
    if (kind == 'x') {
      if (word.substr(0, 2) != "0x" && word.substr(0, 2) != "0X") return std::nullopt;
      word.remove_prefix(2);
    }
    const auto value = hexadecimal(word, kind == 'p' ? 8 : 1, kind == 'h' ? 4 : 8);
    if (!value) return std::nullopt;
    bits.push_back(kind == 'h' ? widened(*value) : *value);
  }
  return bits;
}

inline std::optional<std::vector<PlainTensor>> plain_read(std::string_view text) {
  std::vector<std::string_view> lines;
  for (std::string_view line : split(text, '\n')) {
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.find_first_not_of(' ') != line.npos) lines.push_back(line);
  }
  if (lines.empty() || words(lines[0]).size() != 1) return std::nullopt;
  const auto count = decimal(words(lines[0])[0], 0x7fffffff);
  if (!count || *count == 0 || *count != lines.size() - 1) return std::nullopt;
  std::vector<PlainTensor> tensors;
  std::map<std::string_view, int> names;
  bool typed = false;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string_view> line = words(lines[i]);
    const std::string_view name = line[0];
    if (lines[i][0] == ' ' || name.size() > 65536 || ++names[name] > 1 || line.size() < 2) return std::nullopt;
    for (const char c : name) {
      if (static_cast<unsigned char>(c) < 32 || c == 127) return std::nullopt;
    }
    const auto numel = decimal(line[1], 0xffffffff);
    if (!numel) return std::nullopt;
    std::optional<std::vector<std::uint32_t>> bits;
    if (!typed) bits = plain_values(line, 2, *numel, 'p');
    if (!typed && !bits && *numel > 0) bits = plain_values(line, 2, *numel, 'x');
    if (!bits && (typed || i == 1)) {
      const std::string start = std::string(name) + " " + std::string(line[1]) + " ";
      if ((!typed && lines[i].substr(0, start.size()) != start) || *numel > 1 || line.size() < 3) return std::nullopt;
      if (lines[i].substr(lines[i].find(line[1], name.size()) + line[1].size(), 2).find("  ") == 0) return std::nullopt;
      const auto size = decimal(line[2], 0xffffffff);
      if (!size || (line[2][0] == '0' && line[2].size() > 1)) return std::nullopt;
      bits = plain_values(line, 3, *size, *numel == 0 ? 'f' : 'h');
      typed = true;
    }
    if (!bits) return std::nullopt;
    tensors.push_back({std::string(name), std::move(*bits)});
  }
  return tensors;
}

// --- The vectors: just as much of JSON as they need.

struct Json {
  std::map<std::string, Json> members;
  std::vector<Json> items;
  std::string text;
  std::uint64_t number = 0;
  const Json& operator[](const std::string& name) const {
    const auto at = members.find(name);
    if (at == members.end()) std::printf("FAILED no member %s\n", name.c_str()), std::exit(1);
    return at->second;
  }
};

inline Json parse_json(const char*& at) {
  const auto space = [&] { at += std::strspn(at, " \t\r\n"); };
  Json result;
  space();
  if (*at == '{') {
    do {
      ++at;
      space();
      if (*at == '}') break;
      const std::string name = parse_json(at).text;
      space();
      ++at;  // the colon
      result.members[name] = parse_json(at);
      space();
    } while (*at == ',');
    ++at;
  } else if (*at == '[') {
    do {
      ++at;
      space();
      if (*at == ']') break;
      result.items.push_back(parse_json(at));
      space();
    } while (*at == ',');
    ++at;
  } else if (*at == '"') {
    for (++at; *at != '"' && *at != '\0'; ++at) {
      if (*at == '\\') ++at;
      result.text += *at;
    }
    ++at;
  } else {
    result.number = std::strtoull(at, nullptr, 10);
    at += std::strspn(at, "0123456789");
  }
  return result;
}

struct Vector {
  std::string name, text;
  Json holds;
};

inline std::vector<Vector> read_vectors(const std::string& folder) {
  std::vector<Vector> vectors;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".wts") continue;
    const std::string json = read_file(std::filesystem::path(entry.path()).replace_extension(".json"));
    const char* at = json.c_str();
    vectors.push_back({entry.path().stem().string(), read_file(entry.path()), parse_json(at)});
  }
  if (vectors.size() < 80) std::printf("FAILED only %zu vectors\n", vectors.size()), std::exit(1);
  return vectors;
}

}  // namespace reader_test
