#include "wts/file.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <memory>

#include "wts/checksum.hpp"
#include "wts/error.hpp"

namespace pywts {

void check(const Storage& storage) {
  constexpr std::uint64_t farthest = std::numeric_limits<std::int64_t>::max();
  const bool there = storage.file < 0 ? storage.memory != nullptr
                                      : storage.size <= farthest && storage.file_offset <= farthest - storage.size;
  if (!there) throw Error(Code::out_of_bounds);
}

void File::read(std::byte* to, std::uint64_t offset, std::size_t size) const {
  offset += start_;
  while (size > 0) {
    const ssize_t got = ::pread(file_, to, std::min(size, kLongRead), static_cast<off_t>(offset));
    if (got < 0) {
      if (errno != EINTR) throw Error(Code::source_read, static_cast<std::int64_t>(offset), errno);
    } else if (got == 0) {
      throw Error(Code::source_short, static_cast<std::int64_t>(offset));
    } else {
      to += got;
      offset += static_cast<std::uint64_t>(got);
      size -= static_cast<std::size_t>(got);
    }
    if (pulse_) pulse_();
  }
}

std::uint32_t crc32(const Storage& storage, std::uint64_t offset, std::uint64_t size, const Pulse& pulse) {
  constexpr std::uint64_t kRead = std::uint64_t{256} << 10;  // stays in L2 until it is counted
  check(storage);
  const File file(storage, pulse);
  const std::unique_ptr<std::byte[]> bytes(new std::byte[static_cast<std::size_t>(std::min(size, kRead))]);
  std::uint32_t sum = 0;
  while (size > 0) {
    const auto part = static_cast<std::size_t>(std::min(size, kRead));
    file.read(bytes.get(), offset, part);
    sum = crc32(sum, bytes.get(), part);
    offset += part;
    size -= part;
  }
  return sum;
}

}  // namespace pywts
