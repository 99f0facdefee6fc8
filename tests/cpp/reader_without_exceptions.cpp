// Compiled with -fno-exceptions: what returns errors works as ever, and what would throw prints and aborts.
#include <NvInfer.h>

#include "wts.hpp"
#if !defined(_WIN32)
#include <sys/wait.h>
#endif

namespace {

int failures = 0;

void expect(bool condition, const char* what) {
  if (condition) return;
  std::printf("FAILED %s\n", what);
  ++failures;
}

template <class Work>
void expect_abort([[maybe_unused]] const Work& work, [[maybe_unused]] const char* what) {
#if !defined(_WIN32)
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    work();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, what);
#endif
}

}  // namespace

int main() {
  const std::string text = "3\na 2  3f800000 40000000\nb 1  bf800000\nc 2  3f800000 3f80000g\n";
  wts::error why;
  const auto weights = wts::try_parse(text, &why);
  if (!weights) return std::printf("FAILED %s\n", why.text.c_str()), 1;
  expect(weights->at("a", 2)[1] == 2.0f, "at()");
  expect(weights->find("b").has_value() && !weights->find("d"), "find()");
  expect(!weights->find("c", &why) && why.code == wts::errc::digit, "find() of damage");
  expect(!weights->find("d", 3, &why) && why.code == wts::errc::missing, "find() of a missing name");
  expect(!weights->try_load_all(&why) && why.code == wts::errc::digit && why.line == 4, "try_load_all()");
  expect(!wts::try_open("no-such.wts", &why) && why.code == wts::errc::file, "try_open()");
  expect_abort([&] { weights->at("d"); }, "at() aborts");
  expect_abort([] { wts::open("no-such.wts"); }, "open() aborts");
  expect_abort([] { wts::loadWeights("no-such.wts"); }, "loadWeights() aborts");
  if (failures == 0) std::printf("all is well without exceptions\n");
  return failures == 0 ? 0 : 1;
}
