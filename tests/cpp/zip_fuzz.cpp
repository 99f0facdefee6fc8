// Whatever a file says of its central directory: entries lie inside it and apart from each other, each name finds its
// own, the data of a located entry ends before the directory; or there is an error with words.
//
// A libFuzzer target, and a test that its corpus passes (tests/corpus/zip).
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "zip/directory.hpp"

namespace {

using pywts::zip::Directory;
using pywts::zip::Entry;
using pywts::zip::Error;
using pywts::zip::Window;

void require(bool holds) {
  if (!holds) std::abort();
}

std::uint32_t little(const char* at) {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(at[i]);
  return value;
}

void check(std::string_view file, std::size_t at, std::size_t size, std::uint64_t count, int descriptor) {
  const std::vector<char> exact(file.data() + at, file.data() + at + size);  // nothing beyond it is read unseen
  const Directory directory({exact.data(), exact.size()}, at, count);
  require(directory.entries().size() == count);
  Window window(descriptor);
  for (const Entry& entry : directory.entries()) {
    require(directory.find(entry.name) == &entry);
    require(entry.header <= at && entry.packed <= at - entry.header);
    try {
      const std::uint64_t data = directory.locate(entry, window);
      require(data > entry.header && data <= at && entry.packed <= at - data);
    } catch (const Error& error) {
      require(!error.message.empty());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t length) {
  static const int descriptor = ::memfd_create("zip_fuzz", MFD_CLOEXEC);
  const std::string_view file(reinterpret_cast<const char*>(bytes), length);
  const std::size_t end = file.rfind(std::string_view("PK\5\6", 4));
  if (end == file.npos || length - end < 22) return 0;
  const std::uint64_t count = little(file.data() + end + 8) >> 16;
  const std::size_t size = little(file.data() + end + 12), at = little(file.data() + end + 16);
  if (at > end || size > end - at) return 0;
  require(::ftruncate(descriptor, 0) == 0);
  require(::pwrite(descriptor, bytes, length, 0) == static_cast<ssize_t>(length));
  try {
    check(file, at, size, count, descriptor);
  } catch (const Error& error) {
    require(!error.message.empty());
  }
  return 0;
}
