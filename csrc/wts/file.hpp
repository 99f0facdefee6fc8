// Reads the bytes of a storage that lies in a file, by position: a file that shrinks is an error and never a signal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "wts/view.hpp"

namespace pywts {

// Called after every read of a file, so that a caller can stop the work (by throwing) also where nothing is taken yet.
using Pulse = std::function<void()>;

// Throws Error{out_of_bounds} for a storage that is nowhere.
void check(const Storage& storage);

class File {
 public:
  static constexpr std::size_t kLongRead = std::size_t{1} << 20;  // bytes of one read that fills a larger buffer

  File(const Storage& storage, const Pulse& pulse) : file_(storage.file), start_(storage.file_offset), pulse_(pulse) {}

  // The storage's bytes from `offset` on. Throws Error{source_read, byte offset, errno} and Error{source_short, byte
  // offset}, counted from the file's start.
  void read(std::byte* to, std::uint64_t offset, std::size_t size) const;

 private:
  int file_;
  std::uint64_t start_;
  const Pulse& pulse_;
};

// The CRC32 of `size` bytes of a storage that lies in a file, from `offset` on. Throws as File::read.
std::uint32_t crc32(const Storage& storage, std::uint64_t offset, std::uint64_t size, const Pulse& pulse = {});

}  // namespace pywts
