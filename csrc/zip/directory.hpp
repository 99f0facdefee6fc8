// The central directory of a zip archive, read for hostile files: what lies outside the file, overlaps or bears a name
// twice is an Error before one byte is read through it. The layout is that of APPNOTE.TXT, 4.3.7 to 4.3.16 and 4.5.3.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace pywts::zip {

inline constexpr std::uint16_t kStored = 0;
inline constexpr std::uint16_t kDeflated = 8;

struct Entry {
  std::string_view name;  // raw bytes
  std::uint64_t packed;   // bytes in the file
  std::uint64_t size;     // bytes of its content
  std::uint64_t header;   // where its local header is
  std::uint32_t crc;
  std::uint16_t method;   // kStored or kDeflated
  std::uint64_t end = 0;  // where the next file begins in the archive, or the directory
};

// What is wrong, with "{}" where the entry's name, and then the other's, belong: names are not fit to be printed as
// they are.
class Error : public std::exception {
 public:
  explicit Error(std::string message, std::string_view name = {}, std::string_view other = {}, bool damaged = true)
      : message(std::move(message)), name(name), other(other), damaged(damaged) {}
  const char* what() const noexcept override { return message.c_str(); }

  std::string message;
  std::string name;
  std::string other;
  bool damaged;  // else it is whole, and of a kind that cannot be read
};

// Reads of a file that lie close together, in few calls.
class Window {
 public:
  explicit Window(int file) noexcept : file_(file) {}

  // `size` bytes at `at`, until the next call; null where the file ends before or cannot be read.
  const char* bytes(std::uint64_t at, std::size_t size);
  int failure() const noexcept { return failure_; }  // errno of the last read that the system refused, or 0

 private:
  int file_;
  int failure_ = 0;
  std::uint64_t at_ = 0;
  std::vector<char> held_;
  std::size_t ahead_ = 0;  // bytes of the last read: more and more while reads follow each other closely
};

class Directory {
 public:
  // `records` is the directory as it lies at `at` in the file, and must outlive this. Throws Error.
  Directory(std::string_view records, std::uint64_t at, std::uint64_t count);

  const std::vector<Entry>& entries() const noexcept { return entries_; }  // in the directory's order
  const Entry* find(std::string_view name) const noexcept;

  // A file below a folder (whose name ends in a slash) that torch would take for another one, or finds where find()
  // does not: its reader is miniz, to which upper and lower case of ASCII are one. Null where there is none.
  const Entry* in_other_case(std::string_view folder) const;

  // Where the first byte of an entry's data is, after its local header was compared with the directory. Throws Error.
  std::uint64_t locate(const Entry& entry, Window& file) const;

 private:
  void read(std::string_view records, std::uint64_t count);
  void check_overlaps();
  void index_names();

  std::uint64_t at_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> by_name_;  // entries sorted: a hash table could be made to collide
};

}  // namespace pywts::zip
