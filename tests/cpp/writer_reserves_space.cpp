// Space is reserved where the file system can, without changing a file's size; no room is an error, no support is not.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "wts/error.hpp"
#include "wts/writer.hpp"

namespace {

int failures = 0;

void expect(bool holds, const char* what) {
  if (holds) return;
  ++failures;
  std::printf("failed: %s\n", what);
}

}  // namespace

int main() {
  constexpr std::uint64_t size = std::uint64_t{8} << 20;
  char name[] = "reserved-XXXXXX";  // in the build's folder: /tmp is often a tmpfs
  const int file = ::mkstemp(name);
  if (file < 0) {
    std::perror(name);
    return 2;
  }
  ::unlink(name);
  struct stat status = {};
  const bool reserved = pywts::reserve(file, size);
  expect(::fstat(file, &status) == 0 && status.st_size == 0, "the size stays");
  if (reserved) {
    expect(static_cast<std::uint64_t>(status.st_blocks) * 512 >= size, "the space is taken");
    try {
      pywts::reserve(file, std::uint64_t{1} << 61);
      expect(false, "more than there is");
    } catch (const pywts::Error& error) {
      expect(error.code == pywts::Code::sink_write && (error.system_error == ENOSPC || error.system_error == EFBIG),
             "no room is told");
    }
  } else {
    std::puts("this file system reserves nothing");
  }
  expect(!pywts::reserve(file, 1) && !pywts::reserve(file, 0), "a small file is not worth it");
  ::close(file);

  int ends[2] = {-1, -1};
  expect(::pipe(ends) == 0 && !pywts::reserve(ends[1], size), "a pipe cannot");
  ::close(ends[0]);
  ::close(ends[1]);
  const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  expect(!pywts::reserve(null, size), "a device cannot");
  ::close(null);
  expect(!pywts::reserve(-1, size), "nothing cannot");
  return failures == 0 ? 0 : 1;
}
